--- @include "shared/clock"
--- @include "shared/events"
--- @include "sending/app-calls"
-- Lets one caller try an OTP of an app on hold: 10 s after that began, then after a quarter of its age, a minute at most, so
-- that a hold of any length costs few calls. Returns 0 when it may, the ms until the next try, or -1 without a hold.
-- KEYS: calls by app. ARGV: app.
local t, a = now(), load_calls(KEYS[1], ARGV[1])
if not a.hold then return -1 end
if t < a.hold.tryAt then return a.hold.tryAt - t end
a.hold.tryAt = t + math.min(LAST_TRY_MS, math.max(FIRST_TRY_MS, math.floor((t - a.hold.since) / 4)))
save_calls(KEYS[1], ARGV[1], a)
return 0
