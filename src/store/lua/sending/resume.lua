--- @include "shared/events"
--- @include "sending/pause"
-- Ends the pause for account trouble; an operator's own pause is kept elsewhere. Returns 1 when this ended it.
-- KEYS: sending pause, events. ARGV: '', or when a call that the provider accepted was claimed: it ends a pause that began
-- before that.
local since = tonumber(redis.call('HGET', KEYS[1], 'since') or nil)
if ARGV[1] ~= '' and (not since or tonumber(ARGV[1]) <= since) then return 0 end
return end_pause(KEYS[1], KEYS[2])
