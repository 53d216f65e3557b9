-- Pauses sending because the account is in trouble. Claims older than the last resume have nothing new to say.
-- KEYS: sending pause, events. ARGV: trouble, when the call was claimed, what the provider said.
local resumed_at = tonumber(redis.call('HGET', KEYS[1], 'resumedAt') or 0)
if tonumber(ARGV[2]) <= resumed_at then return 0 end
return begin_pause(KEYS[1], KEYS[2], ARGV[1], ARGV[3])
