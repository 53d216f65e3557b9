--- @include "shared/clock"
--- @include "shared/events"
--- @include "sending/pause"
-- Lets OTPs be tried one at a time, if it is time for it. Returns 1 when this did. KEYS: sending pause.
local paused = redis.call('HMGET', KEYS[1], 'trouble', 'tryAt')
if not paused[1] or now() < tonumber(paused[2] or 0) then return 0 end
redis.call('HDEL', KEYS[1], 'trouble')
redis.call('HSET', KEYS[1], 'trying', paused[1], 'triedAt', digits(now()))
return 1
