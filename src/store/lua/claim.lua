-- The fence: at most one caller at a time may call the provider for this OTP.
-- ARGV: attempt token.
local r = load(KEYS[1])
if not r then return {'missing'} end
local t = now()

-- A client that reconnects sends its command twice: the same attempt goes on.
if r.status == 'sending' and r.token == ARGV[1] and t < r.attemptEndsAt then return {'claimed', cjson.encode(r)} end

local changed = r.status == 'queued' and claim_may_be_lost(r)
if changed then count_unknown(r, t) end

changed = advance(r, t) or changed
if r.status == 'queued' then
  move(r, 'sending', t)
  r.sends = r.sends + 1
  r.token, r.claimedAt, r.attemptEndsAt = ARGV[1], t, t + POLICY.sendLeaseMs
  save(KEYS[1], KEYS[2], r)
  return {'claimed', cjson.encode(r)}
end
if changed then save(KEYS[1], KEYS[2], r) end
if r.status == 'sending' then return {'in_flight', cjson.encode(r), r.attemptEndsAt - t} end
return {'ended', cjson.encode(r)}
