-- Ends what nobody else ends, and names queued records whose job may be missing. KEYS[1] is only a prefix here.
-- ARGV: most records to look at.
local t = now()
local ids = redis.call('ZRANGE', KEYS[2], '-inf', string.format('%.0f', t), 'BYSCORE', 'LIMIT', 0, ARGV[1])

local function look_at(key)
  local r = load(key)
  if not r then return nil end
  local changed = advance(r, t)
  return r, changed, due(r)
end

local queued, unreadable = {}, {}
for _, id in ipairs(ids) do
  local key = KEYS[1] .. id
  local readable, r, changed, next_due = pcall(look_at, key)
  if not readable then
    -- One broken record must not hide the others.
    if string.find(tostring(r), 'HISTORY_CHANGED', 1, true) then error('HISTORY_CHANGED') end
    unreadable[#unreadable + 1] = id
  end
  if not readable or not r then
    redis.call('ZREM', KEYS[2], id)
  elseif changed or next_due == nil then
    save(key, KEYS[2], r)
  else
    redis.call('ZADD', KEYS[2], string.format('%.0f', next_due), id)
  end
  if readable and r and r.status == 'queued' then queued[#queued + 1] = cjson.encode(r) end
end
return {#ids, queued, unreadable}
