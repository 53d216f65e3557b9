--- @command read
--- @include "shared/record"
-- Reads records as of now, and writes nothing. KEYS: records. Returns for each: the record, if there is one.
local t = now()
return for_each_record(function()
  local r = load()
  if not r then return {} end
  advance(r, t)
  return {encode(r)}
end)

--- @command find
--- @include "shared/record"
-- Reads records that pass a filter as of now, and writes nothing. KEYS: records. ARGV, for each: app, status or '', purpose
-- or '', since, until. Returns for each of the app: `createdAt`; and the record if it passes.
local t = now()

-- Statuses that the clock does not change.
local FINAL = { verified = true, locked = true, failed = true, cancelled = true, expired = true }

-- Whether the clock may give a record with this status the other one.
local function may_become(stored, status)
  return stored == status or (not FINAL[stored] and status ~= 'verified')
end

return for_each_record(function(app, status, purpose, since, before)
  -- To search the text first halves the time for records that do not pass (measured).
  local raw = redis.call('GET', here.record)
  local created_at = raw and string.match(raw, '"createdAt":(%d+)')
  if not created_at then return {} end
  local at = tonumber(created_at)
  if at < tonumber(since) or at >= tonumber(before) then return { created_at } end
  if purpose ~= '' and not string.find(raw, '"purpose":"' .. purpose .. '"', 1, true) then return { created_at } end
  if status ~= '' and not may_become(string.match(raw, '"status":"(%a+)"'), status) then return { created_at } end
  local r = load()
  if r.app ~= app then return {} end
  advance(r, t)
  if status ~= '' and r.status ~= status then return { created_at } end
  return { created_at, encode(r) }
end)

--- @command cancel
--- @include "shared/record"
-- Cancels OTPs for good; an OTP that ended otherwise stays as it is.
-- KEYS: records. ARGV, for each: app. Returns for each: `cancelled` with the record if it was pending, or why not.
local t = now()
return for_each_record(function(app)
  local r = load()
  if not r or r.app ~= app then return {'otp_not_found'} end
  advance(r, t)
  if r.status == 'verified' then return {'already_verified'} end
  if not may_transition(r.status, 'cancelled') then return {'cancelled'} end
  transition(r, 'cancelled', t)
  return {'cancelled', save(r)}
end)

--- @command erase
--- @include "shared/record"
-- Erases OTPs. A mark stays as long as the record would have, so that a call under way does not write it again.
-- KEYS: records. Returns for each: 1 when there was one.
local t = now()
return for_each_record(function()
  local r = load()
  if not r then return 0 end
  redis.call('SET', erased_key(), '1', 'PXAT', digits(t + POLICY.retentionMs))
  redis.call('DEL', here.record)
  redis.call('ZREM', here.due, r.id)
  if r.batch then redis.call('HINCRBY', batch_key(r.batch), r.status, -1) end
  if r.idempotencyKey then redis.call('DEL', r.idempotencyKey) end
  return 1
end)

--- @command mark-enqueued
-- Postpones the sweeper's next check of OTPs; never brings it forward, and adds none.
-- KEYS: `due` sets of partitions. ARGV for each: [checkAt, id, checkAt, id, …] as JSON.
for i, key in ipairs(KEYS) do redis.call('ZADD', key, 'XX', 'GT', unpack(cjson.decode(ARGV[i]))) end
return {}
