--- @include "shared/clock"
-- The pause for account trouble, a hash. `trouble`: no OTP is sent or admitted. `trying`: OTPs are admitted, and sent one
-- at a time until one is accepted, since `triedAt`. `since`: when the pause began. `tryAt`: when OTPs may be tried next.
-- `resumedAt`: when the last pause ended.

--- @command read
-- KEYS: sending pause. Returns nil if sending is not paused, else JSON; `triedForMs`: for how long OTPs have been tried
-- one at a time, if they are.
local t = now()
local trouble, trying, tried_at, since, try_at =
  unpack(redis.call('HMGET', KEYS[1], 'trouble', 'trying', 'triedAt', 'since', 'tryAt'))
if not trouble and not trying then return nil end
return cjson.encode({
  trouble = trouble or trying,
  since = tonumber(since),
  triedForMs = trying and t - tonumber(tried_at) or nil,
  tryInMs = math.max(0, tonumber(try_at) - t),
})

--- @command report
--- @include "shared/events"
-- Pauses sending for account trouble. Returns `began`, `paused`, or `ignored` for a claim older than the last resume or
-- than the current trials.
-- KEYS: sending pause, events. ARGV: trouble, when the call was claimed.
local FIRST_TRY_MS, LAST_TRY_MS = 10000, 60000
local t, trouble, claimed_at = now(), ARGV[1], tonumber(ARGV[2])
local resumed_at, known_trouble, trying, tried_at, paused_since =
  unpack(redis.call('HMGET', KEYS[1], 'resumedAt', 'trouble', 'trying', 'triedAt', 'since'))
if claimed_at <= tonumber(resumed_at or 0) then return 'ignored' end
if known_trouble then
  redis.call('HSET', KEYS[1], 'trouble', trouble)
  return 'paused'
end
if trying and claimed_at < tonumber(tried_at) then return 'ignored' end
local since = trying and tonumber(paused_since) or t
-- Trials get rarer, so that a pause of any length costs few calls, and lasts a quarter longer than its cause at most.
local try_at = t + math.min(LAST_TRY_MS, math.max(FIRST_TRY_MS, math.floor((t - since) / 4)))
redis.call('HDEL', KEYS[1], 'trying', 'triedAt')
redis.call('HSET', KEYS[1], 'trouble', trouble, 'since', digits(since), 'tryAt', digits(try_at))
if trying then return 'paused' end
emit(KEYS[2], 'sending.paused', 'at', digits(t), 'trouble', trouble)
return 'began'

--- @command try
-- Begins to try OTPs one at a time, from `tryAt` on. Returns 1 when this did. KEYS: sending pause.
local t = now()
local trouble, try_at = unpack(redis.call('HMGET', KEYS[1], 'trouble', 'tryAt'))
if not trouble or t < tonumber(try_at or 0) then return 0 end
redis.call('HDEL', KEYS[1], 'trouble')
redis.call('HSET', KEYS[1], 'trying', trouble, 'triedAt', digits(t))
return 1

--- @command resume
--- @include "shared/events"
-- Ends the pause for account trouble; an operator's own pause is kept elsewhere. Returns 1 when this ended it.
-- KEYS: sending pause, events. ARGV: '', or the claim time of an accepted call, which ends a pause that began before.
local t = now()
local trouble, trying, since = unpack(redis.call('HMGET', KEYS[1], 'trouble', 'trying', 'since'))
if ARGV[1] ~= '' and (not since or tonumber(ARGV[1]) <= tonumber(since)) then return 0 end
redis.call('HDEL', KEYS[1], 'trouble', 'trying', 'triedAt', 'since', 'tryAt')
redis.call('HSET', KEYS[1], 'resumedAt', digits(t))
if not trouble and not trying then return 0 end
emit(KEYS[2], 'sending.resumed', 'at', digits(t), 'trouble', trouble or trying)
return 1
