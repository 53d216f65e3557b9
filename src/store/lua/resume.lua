-- Ends the pause for account trouble; an operator's own pause is kept elsewhere. KEYS: sending pause.
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local was_paused = redis.call('HDEL', KEYS[1], 'trouble')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'resumedAt', now)
return was_paused
