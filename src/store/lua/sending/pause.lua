--- @include "shared/clock"
--- @include "shared/events"
-- The pause for account trouble, a hash. `trouble`: no OTP is sent or admitted. `trying`: OTPs are admitted, and sent one
-- at a time until one is accepted, since `triedAt`. `since`: when the pause began. `tryAt`: when OTPs may be tried next.
-- `resumedAt`: when the last pause ended.
local FIRST_TRY_MS, LAST_TRY_MS = 10000, 60000

-- Trials get rarer, so that a pause of any length costs few calls, and lasts a quarter longer than its cause at most.
local function next_try(since, t)
  return t + math.min(LAST_TRY_MS, math.max(FIRST_TRY_MS, math.floor((t - since) / 4)))
end

-- Returns 1 when this ended the pause.
local function end_pause(key, events)
  local t = now()
  local paused = redis.call('HMGET', key, 'trouble', 'trying')
  local trouble = paused[1] or paused[2]
  redis.call('HDEL', key, 'trouble', 'trying', 'triedAt', 'since', 'tryAt')
  redis.call('HSET', key, 'resumedAt', digits(t))
  if not trouble then return 0 end
  emit(events, 'sending.resumed', 'at', digits(t), 'trouble', trouble)
  return 1
end
