--- @include "shared/record"
-- Erases OTPs. A mark stays as long as the record would have, so that a call under way does not write it again.
-- KEYS: records. Returns for each: 1 when there was one.
local t = now()
return for_each_record(function()
  local r = load()
  if not r then return 0 end
  redis.call('SET', erased_key(), '1', 'PXAT', digits(t + POLICY.keepMs))
  redis.call('DEL', here.record)
  redis.call('ZREM', here.due, r.id)
  if r.idempotencyKey then redis.call('DEL', r.idempotencyKey) end
  return 1
end)
