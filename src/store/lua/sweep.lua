-- Ends what nobody else ends, and names queued records whose job may be missing. KEYS[1] is only a prefix here.
-- ARGV: most records to look at.
local t = now()
-- Another history is judged soon, wherever there is one: with time its traces go.
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then history() end
local ids = redis.call('ZRANGE', KEYS[2], '-inf', string.format('%.0f', t), 'BYSCORE', 'LIMIT', 0, ARGV[1])

-- All that a broken record can stumble over, before anything is written.
local function look_at(key)
  local r = load(key)
  if not r then return nil end
  if KEYS[1] .. r.id ~= key or type(r.idempotencyKey or '') ~= 'string' then error('broken') end
  local changed = advance(r, t)
  return r, changed, due(r), ends_at(r) + POLICY.keepMs, cjson.encode(r)
end

local queued, unreadable = {}, {}
for _, id in ipairs(ids) do
  local key = KEYS[1] .. id
  local readable, r, changed, next_due, _, raw = pcall(look_at, key)
  if not readable then unreadable[#unreadable + 1] = id end
  if not readable or not r then
    redis.call('ZREM', KEYS[2], id)
  elseif changed or next_due == nil then
    save(key, KEYS[2], r)
  else
    redis.call('ZADD', KEYS[2], string.format('%.0f', next_due), id)
  end
  if readable and r and r.status == 'queued' then
    -- Looked at again soon, in case whoever adds the missing job is gone before it did; see lookedAfter.
    look_soon(KEYS[2], r, t)
    queued[#queued + 1] = { id, raw }
  end
end
return {#ids, queued, unreadable}
