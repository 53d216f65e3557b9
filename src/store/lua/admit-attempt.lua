-- Admits one verification attempt and counts it before the provider is asked.
-- ARGV: app, lease token, keyed hash of idempotency key and code ('' for none).
local r = load(KEYS[1])
if not r or r.app ~= ARGV[1] then return {'otp_not_found'} end
local t = now()
if ARGV[3] ~= '' and r.verifiedKey == ARGV[3] and t - r.verifiedAt < POLICY.verifyReplayMs then
  return {'replayed', cjson.encode(r)}
end
advance(r, t)

if r.status == 'sent' then
  -- A client that reconnects sends its command twice: the same attempt counts once.
  if r.leases and r.leases[ARGV[2]] then return {'admitted', cjson.encode(r)} end
  if r.attempts >= r.maxAttempts then return {'verification_in_progress'} end
  -- Counted across the number's OTPs before the provider is asked: a resend does not begin anew.
  local phone = load_phone(r.phone, r.app)
  if phone.wrong >= POLICY.wrongCodes then return {'phone_locked'} end
  phone.wrong = phone.wrong + 1
  save_phone(r.phone, r.app, phone, t)
  r.attempts = r.attempts + 1
  r.leases = r.leases or {}
  r.leases[ARGV[2]] = t + POLICY.verifyLeaseMs
  lock_if_exhausted(r, t)
  save(KEYS[1], KEYS[2], r)
  return {'admitted', cjson.encode(r)}
end

local refusals = {
  queued = 'not_sent', sending = 'not_sent', verified = 'already_verified', cancelled = 'otp_cancelled',
  locked = 'attempts_exhausted', failed = 'not_verifiable', unknown = 'not_verifiable', expired = 'otp_expired',
}
if r.failure == 'not_sent_in_time' then return {'not_sent'} end
return {refusals[r.status]}
