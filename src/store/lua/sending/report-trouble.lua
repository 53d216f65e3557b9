--- @include "shared/clock"
--- @include "shared/events"
--- @include "sending/pause"
-- Pauses sending because the account is in trouble. Returns `began` or `paused`, or `ignored`: claims older than the last
-- resume, or than the trials that go on, have nothing new to say. KEYS: sending pause, events. ARGV: trouble, when the call
-- was claimed.
local t, trouble, claimed_at = now(), ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'resumedAt', 'trouble', 'trying', 'triedAt', 'since')
if claimed_at <= tonumber(known[1] or 0) then return 'ignored' end
if known[2] then
  redis.call('HSET', KEYS[1], 'trouble', trouble)
  return 'paused'
end
if known[3] and claimed_at < tonumber(known[4]) then return 'ignored' end
local since = known[3] and tonumber(known[5]) or t
redis.call('HDEL', KEYS[1], 'trying', 'triedAt')
redis.call('HSET', KEYS[1], 'trouble', trouble, 'since', digits(since), 'tryAt', digits(next_try(since, t)))
if known[3] then return 'paused' end
emit(KEYS[2], 'sending.paused', 'at', digits(t), 'trouble', trouble)
return 'began'
