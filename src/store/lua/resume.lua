-- Ends the pause for account trouble; an operator's own pause is kept elsewhere. KEYS: sending pause.
local was_paused = redis.call('HDEL', KEYS[1], 'trouble')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'resumedAt', string.format('%.0f', now()))
return was_paused
