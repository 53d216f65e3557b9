--- @include "shared/record"
--- @include "verification/phone"
-- Admits verification attempts and counts them before iSMS is asked.
-- KEYS: records. ARGV, for each: app, lease token, keyed hash of idempotency key, code and binding ('' for none).
-- Returns for each: `admitted` or `replayed` and the record, or the code of the refusal.
local t = now()

local REFUSALS = {
  queued = 'not_sent', sending = 'not_sent', verified = 'already_verified', cancelled = 'otp_cancelled',
  locked = 'attempts_exhausted', failed = 'not_verifiable', unknown = 'not_verifiable', expired = 'otp_expired',
}

return for_each_record(function(app, token, replay)
  local r = load()
  if not r or r.app ~= app then return {'otp_not_found'} end
  if replay ~= '' and r.verifiedKey == replay and t - r.verifiedAt < POLICY.verifyReplayMs then
    return {'replayed', encode(r)}
  end
  advance(r, t)
  if r.failure == 'not_sent_in_time' then return {'not_sent'} end
  if r.status ~= 'sent' then return {REFUSALS[r.status]} end

  -- A client that reconnects sends its command twice: the same attempt counts once.
  if r.leases and r.leases[token] then return {'admitted', encode(r)} end
  if r.attempts >= r.maxAttempts then return {'verification_in_progress'} end
  -- Counted across the number's OTPs before the provider is asked: a resend does not begin anew.
  local phone, number = load_phone(r.phone, r.app)
  if is_locked(phone) then return {'recipient_locked'} end
  -- The code of a test number is configured, so wrong guesses lock nothing.
  if not r.isTest then
    phone.wrong = (phone.wrong or 0) + 1
    save_phone(number, t)
  end
  r.attempts = r.attempts + 1
  r.leases = r.leases or {}
  r.leases[token] = t + POLICY.verifyLeaseMs
  lock_if_exhausted(r, t)
  return {'admitted', save(r)}
end)
