--- @include "shared/clock"
--- @include "sending/app-calls"
-- Gives back the trial of an app on hold with which no call was made: the next OTP may be tried at once.
-- KEYS: calls by app. ARGV: app.
local a = load_calls(KEYS[1], ARGV[1])
if not a.hold then return end
a.hold.tryAt = math.min(a.hold.tryAt, now())
save_calls(KEYS[1], ARGV[1], a)
