--- @include "shared/clock"
--- @include "shared/events"
--- @include "sending/app-calls"
-- Says of an OTP that was refused in unknown words whether that is `final`, whether it is to be sent `again`, since its app
-- was on hold, or whether it is `held`, since nothing tells yet.
-- KEYS: calls by app. ARGV: app, when the refused call was claimed, and when the first one was.
-- Calls claimed within this time may have reached the provider in another order.
local ORDER_MS = 1000
-- A refusal that stays alone is the OTP's own; several are waited for longer, since calls are made one at a time then.
local ALONE_MS, SEVERAL_MS = 3000, 10000
local t, claimed_at, first_at = now(), tonumber(ARGV[2]), tonumber(ARGV[3])
local a = load_calls(KEYS[1], ARGV[1])
local accepted_at = a.acceptedAt or 0
local of_last_hold = claimed_at <= (a.resumedAt or 0)
-- Refused again, while the app's other OTPs are accepted. However often in one hold counts once.
if not of_last_hold and claimed_at > first_at and accepted_at > first_at then return 'final' end
if a.hold then return 'held' end
if of_last_hold then return 'again' end
if accepted_at > claimed_at + ORDER_MS then return 'final' end
local several = trim_row(a.row, 0) > 1
return t - math.max(a.refusedAt or 0, claimed_at) >= (several and SEVERAL_MS or ALONE_MS) and 'final' or 'held'
