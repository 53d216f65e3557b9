-- Answers why sending is paused ('' if it is not), 1 while OTPs are tried one at a time, since when, what the provider
-- said, and the ms until OTPs may be tried. KEYS: sending pause.
local paused = redis.call('HMGET', KEYS[1], 'trouble', 'trying', 'since', 'text', 'tryAt')
local wait = math.max(0, tonumber(paused[5] or 0) - now())
return {paused[1] or paused[2] or '', paused[2] and 1 or 0, tonumber(paused[3] or 0), paused[4] or '', wait}
