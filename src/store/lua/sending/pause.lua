--- @include "shared/clock"
-- The pause for account trouble, a hash. `trouble`: no OTP is sent or admitted. `trying`: OTPs are admitted, and sent one
-- at a time until one is accepted, since `triedAt`. `since`: when the pause began. `tryAt`: when OTPs may be tried next.
-- `resumedAt`: when the last pause ended.

--- @command read
-- KEYS: sending pause. Returns nil if sending is not paused, else JSON: why, since when, for how many ms OTPs have been
-- tried one at a time if they are, and the ms until they may be tried.
local t, paused = now(), redis.call('HMGET', KEYS[1], 'trouble', 'trying', 'triedAt', 'since', 'tryAt')
local trouble = paused[1] or paused[2]
if not trouble then return nil end
return cjson.encode({
  trouble = trouble,
  since = tonumber(paused[4]),
  triedForMs = paused[2] and t - tonumber(paused[3]) or nil,
  tryInMs = math.max(0, tonumber(paused[5]) - t),
})

--- @command report
--- @include "shared/events"
-- Pauses sending because the account is in trouble. Returns `began` or `paused`, or `ignored`: claims older than the last
-- resume, or than the trials that go on, have nothing new to say.
-- KEYS: sending pause, events. ARGV: trouble, when the call was claimed.
local FIRST_TRY_MS, LAST_TRY_MS = 10000, 60000
local t, trouble, claimed_at = now(), ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'resumedAt', 'trouble', 'trying', 'triedAt', 'since')
if claimed_at <= tonumber(known[1] or 0) then return 'ignored' end
if known[2] then
  redis.call('HSET', KEYS[1], 'trouble', trouble)
  return 'paused'
end
if known[3] and claimed_at < tonumber(known[4]) then return 'ignored' end
local since = known[3] and tonumber(known[5]) or t
-- Trials get rarer, so that a pause of any length costs few calls, and lasts a quarter longer than its cause at most.
local try_at = t + math.min(LAST_TRY_MS, math.max(FIRST_TRY_MS, math.floor((t - since) / 4)))
redis.call('HDEL', KEYS[1], 'trying', 'triedAt')
redis.call('HSET', KEYS[1], 'trouble', trouble, 'since', digits(since), 'tryAt', digits(try_at))
if known[3] then return 'paused' end
emit(KEYS[2], 'sending.paused', 'at', digits(t), 'trouble', trouble)
return 'began'

--- @command try
-- Lets OTPs be tried one at a time, if it is time for it. Returns 1 when this did. KEYS: sending pause.
local t, paused = now(), redis.call('HMGET', KEYS[1], 'trouble', 'tryAt')
if not paused[1] or t < tonumber(paused[2] or 0) then return 0 end
redis.call('HDEL', KEYS[1], 'trouble')
redis.call('HSET', KEYS[1], 'trying', paused[1], 'triedAt', digits(t))
return 1

--- @command resume
--- @include "shared/events"
-- Ends the pause for account trouble; an operator's own pause is kept elsewhere. Returns 1 when this ended it.
-- KEYS: sending pause, events. ARGV: '', or when a call that the provider accepted was claimed: it ends a pause that began
-- before that.
local t, paused = now(), redis.call('HMGET', KEYS[1], 'trouble', 'trying', 'since')
if ARGV[1] ~= '' and (not paused[3] or tonumber(ARGV[1]) <= tonumber(paused[3])) then return 0 end
redis.call('HDEL', KEYS[1], 'trouble', 'trying', 'triedAt', 'since', 'tryAt')
redis.call('HSET', KEYS[1], 'resumedAt', digits(t))
local trouble = paused[1] or paused[2]
if not trouble then return 0 end
emit(KEYS[2], 'sending.resumed', 'at', digits(t), 'trouble', trouble)
return 1
