-- The pause for account trouble, a hash. `trouble`: no OTP is sent or admitted. `trying`: OTPs are admitted, and sent one
-- at a time until one is accepted. `since`, `text`: when the pause began, and what the provider said. `tryAt`: when OTPs
-- may be tried next. `resumedAt`: when the last pause ended. `acceptedAt`: when the newest call that the provider accepted
-- was claimed. `refusedAt`: when a refusal in unknown words came last.
local FIRST_TRY_MS, LAST_TRY_MS = 10000, 60000

-- Trials get rarer, so that a pause of any length costs few calls, and lasts a quarter longer than its cause at most.
local function next_try(since, t)
  return t + math.min(LAST_TRY_MS, math.max(FIRST_TRY_MS, math.floor((t - since) / 4)))
end

-- Answers 1 when this began the pause.
local function begin_pause(key, events, trouble, text)
  local t = now()
  local paused = redis.call('HMGET', key, 'trouble', 'trying', 'since')
  if paused[1] then
    redis.call('HSET', key, 'trouble', trouble, 'text', text)
    return 0
  end
  local since = paused[2] and tonumber(paused[3]) or t
  redis.call('HDEL', key, 'trying')
  redis.call('HSET', key, 'trouble', trouble, 'text', text, 'since', digits(since), 'tryAt', digits(next_try(since, t)))
  if paused[2] then return 0 end
  emit(events, 'sending.paused', 'at', digits(t), 'trouble', trouble, 'text', text)
  return 1
end

-- Answers 1 when this ended the pause. Refusals of before count no more.
local function end_pause(key, refusals, events)
  local t = now()
  local paused = redis.call('HMGET', key, 'trouble', 'trying', 'text')
  local trouble = paused[1] or paused[2]
  redis.call('DEL', refusals)
  redis.call('HDEL', key, 'trouble', 'trying', 'text', 'since', 'tryAt')
  redis.call('HSET', key, 'resumedAt', digits(t))
  if not trouble then return 0 end
  emit(events, 'sending.resumed', 'at', digits(t), 'trouble', trouble, 'text', paused[3] or '')
  return 1
end
