-- Erases OTPs. Answers 'busy' for one whose call may be under way: what becomes of it would be written down again.
local t = now()
return for_each_record(function()
  local r = load()
  if not r then return {'gone'} end
  local under_way = r.status == 'sending' or r.status == 'cancelled'
  if under_way and (r.attemptEndsAt or 0) > t then return {'busy'} end
  redis.call('DEL', here.record)
  redis.call('ZREM', here.due, r.id)
  if r.idempotencyKey then redis.call('DEL', r.idempotencyKey) end
  return {'erased'}
end)
