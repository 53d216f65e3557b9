--- @include "shared/clock"
--- @include "shared/events"
--- @include "sending/pause"
-- Returns why sending is paused ('' if it is not), for how many ms OTPs have been tried one at a time (-1: they are not),
-- since when it is paused, and the ms until OTPs may be tried. KEYS: sending pause.
local t, paused = now(), redis.call('HMGET', KEYS[1], 'trouble', 'trying', 'triedAt', 'since', 'tryAt')
local tried = paused[2] and t - tonumber(paused[3]) or -1
return {paused[1] or paused[2] or '', tried, tonumber(paused[4] or 0), math.max(0, tonumber(paused[5] or 0) - t)}
