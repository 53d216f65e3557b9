-- Says of an OTP that was refused in unknown words whether that is `final`, whether it is to be sent `again`, since the
-- account was in trouble, or whether it is `held`, since nobody knows yet.
-- KEYS: sending pause, refusals. ARGV: when the refused call was claimed.
-- Calls claimed within this time may have reached the provider in another order.
local ORDER_MS = 1000
-- A refusal that stays alone is the OTP's own; several are waited for longer, since calls are made one at a time then.
local ALONE_MS, SEVERAL_MS = 3000, 10000
local t, claimed_at = now(), tonumber(ARGV[1])
local known = redis.call('HMGET', KEYS[1], 'resumedAt', 'acceptedAt', 'refusedAt', 'trouble', 'trying')
if known[4] or known[5] or claimed_at <= tonumber(known[1] or 0) then return 'again' end
if tonumber(known[2] or 0) > claimed_at + ORDER_MS then return 'final' end
local several = redis.call('ZCARD', KEYS[2]) > 1
local quiet_ms = t - math.max(tonumber(known[3] or 0), claimed_at)
return quiet_ms >= (several and SEVERAL_MS or ALONE_MS) and 'final' or 'held'
