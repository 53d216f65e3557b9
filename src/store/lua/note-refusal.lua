-- Notes a refusal in unknown words. Answers whether it is `held` until more is known, or the OTP is to be sent `again`,
-- since sending was resumed after its claim; or that sending is `paused`, with 1 where this call began that.
-- KEYS: sending pause, refusals, events. ARGV: when the call was claimed, the words, different numbers in a row that
-- pause sending, when each of them was claimed and its hash.
local t, claimed_at = now(), tonumber(ARGV[1])
local KEPT_MS = 3600000
local known = redis.call('HMGET', KEYS[1], 'resumedAt', 'acceptedAt', 'trouble', 'trying')
redis.call('HSET', KEYS[1], 'refusedAt', digits(t))
if claimed_at <= tonumber(known[1] or 0) then return {'again', 0} end
local paused = known[3] or known[4]
for i = 4, #ARGV, 2 do
  local later_success = tonumber(ARGV[i]) < tonumber(known[2] or 0)
  if not later_success then redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1]) end
end
redis.call('PEXPIRE', KEYS[2], KEPT_MS)
if paused then
  begin_pause(KEYS[1], KEYS[3], paused, ARGV[2])
  return {'paused', 0}
end
if redis.call('ZCARD', KEYS[2]) < tonumber(ARGV[3]) then return {'held', 0} end
return {'paused', begin_pause(KEYS[1], KEYS[3], 'unrecognised_refusal', ARGV[2])}
