-- Pauses sending because the account is in trouble. Claims older than the last resume have nothing new to say.
-- KEYS: sending pause, events. ARGV: trouble, when the call was claimed, credits the call needed.
local resumed_at = tonumber(redis.call('HGET', KEYS[1], 'resumedAt') or 0)
if tonumber(ARGV[2]) <= resumed_at then return 0 end
local needed = tonumber(redis.call('HGET', KEYS[1], 'creditsNeeded') or 0)
redis.call('HSET', KEYS[1], 'creditsNeeded', math.max(needed, tonumber(ARGV[3])))
if redis.call('HEXISTS', KEYS[1], 'trouble') == 1 then
  redis.call('HSET', KEYS[1], 'trouble', ARGV[1])
  return 0
end
redis.call('HSET', KEYS[1], 'trouble', ARGV[1], 'since', digits(now()))
emit(KEYS[2], 'sending.paused', 'at', digits(now()), 'trouble', ARGV[1])
return 1
