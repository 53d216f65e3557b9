-- Erases OTPs. A mark stays as long as their records would have: a call that is under way now, or its worker frozen, writes
-- nothing down again.
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
