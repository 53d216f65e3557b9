-- Ends what nobody else ends, and names queued records whose job may be missing.
-- KEYS: due, rollback. ARGV: most records to look at, prefix of record keys in this partition.
local t = now()
local ids = redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', t), 'BYSCORE', 'LIMIT', 0, ARGV[1])
local rolled_back_at = tonumber(redis.call('GET', KEYS[2]) or 0)
local queued = {}
for _, id in ipairs(ids) do
  local key = ARGV[2] .. id
  local r = load(key)
  -- A claim may have been forgotten: should it end now, an SMS may have gone out.
  if r and r.status == 'queued' and r.at <= rolled_back_at then r.mayHaveSent = true end
  if not r then
    redis.call('ZREM', KEYS[1], id)
  elseif advance(r, t) or due(r) == nil then
    save(key, KEYS[1], r)
  else
    redis.call('ZADD', KEYS[1], string.format('%.0f', due(r)), id)
  end
  if r and r.status == 'queued' then queued[#queued + 1] = cjson.encode(r) end
end
return {#ids, queued}
