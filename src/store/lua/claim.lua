-- The fence: at most one caller at a time may call the provider for this OTP.
-- ARGV: attempt token.
local r = load(KEYS[1])
if not r then return {'missing'} end
local t = now()

-- A client that reconnects sends its command twice: the same attempt goes on.
if r.status == 'sending' and r.token == ARGV[1] and t < r.attemptEndsAt then return {'claimed', cjson.encode(r)} end

local h = history()
local changed = r.status == 'queued' and claim_may_be_lost(r, h)
if changed then
  count_unknown(r, t)
  r.losses = h.losses
end

changed = advance(r, t) or changed
if changed and r.status == 'queued' then r.unknownAt = t end
-- A resend waits until its unknown is sure to stay: were both forgotten together, they would count as one.
local wait = (r.unknownAt or 0) + POLICY.lossWindowMs - t
if r.status == 'queued' and not h.durable and wait > 0 then
  if changed then save(KEYS[1], KEYS[2], r) end
  return {'in_flight', cjson.encode(r), wait}
end
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
