-- Ends the pause for account trouble; an operator's own pause is kept elsewhere. KEYS: sending pause, events.
local trouble = redis.call('HGET', KEYS[1], 'trouble')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'resumedAt', digits(now()))
if not trouble then return 0 end
emit(KEYS[2], 'sending.resumed', 'at', digits(now()), 'trouble', trouble)
return 1
