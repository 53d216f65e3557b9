--- @include "shared/record"
--- @include "verification/phone"
-- Records the provider's answers to verification attempts.
-- KEYS: records. ARGV, for each: lease token, outcome, keyed hash of idempotency key, code and binding ('' for none).
-- Returns for each as JSON: the result, the OTP's status and attempts, whether the number is locked.
local t = now()

local function note_right_code(r, token, replay)
  transition(r, 'verified', t)
  r.verifiedAt, r.verifiedBy = t, token
  if replay ~= '' then r.verifiedKey = replay end
  if r.isTest then return end
  local phone, number = load_phone(r.phone, r.app)
  phone.wrong, phone.verifiedAt = nil, t
  save_phone(number, t)
end

-- Returns the result of a right code.
local function settle_correct(r, token, replay)
  -- The same command again, after a reconnect: this very attempt verified the OTP.
  if r.verifiedBy == token then return 'correct' end
  -- Admitted before the expiry, it may finish after it; once its lease has lapsed, it may not.
  local lease = r.leases and r.leases[token]
  if not lease or lease <= t then return 'unavailable' end
  if r.status == 'cancelled' then return 'otp_cancelled' end
  if r.status == 'verified' then return 'already_verified' end
  note_right_code(r, token, replay)
  return 'correct'
end

-- Not evidence of a wrong guess: the attempt does not count across the number's OTPs.
local function uncount_wrong_code(r)
  local phone, number = load_phone(r.phone, r.app)
  if r.isTest or not phone.wrong then return end
  phone.wrong = phone.wrong > 1 and phone.wrong - 1 or nil
  save_phone(number, t)
end

local function return_attempt(r)
  if r.status ~= 'locked' then r.attempts = r.attempts - 1 end
  uncount_wrong_code(r)
end

return for_each_record(function(token, outcome, replay)
  local r = load()
  if not r then return { kind = 'otp_not_found' } end
  local answer = outcome
  advance(r, t)
  if outcome == 'correct' then
    answer = settle_correct(r, token, replay)
  elseif outcome == 'unsent' and r.leases and r.leases[token] then
    return_attempt(r)
  elseif outcome == 'unrecognised' and r.leases and r.leases[token] then
    uncount_wrong_code(r)
  end
  local lease = r.leases and r.leases[token]
  if lease then
    if answer ~= 'correct' then note_attempt(r, 'verifyLog', lease - POLICY.verifyLeaseMs, t, answer) end
    r.leases[token] = nil
  end
  if r.status == 'sent' then lock_if_exhausted(r, t) end
  local locked = outcome ~= 'correct' and is_locked((load_phone(r.phone, r.app)))
  save(r)
  local otp = { status = r.status, attemptsRemaining = r.maxAttempts - r.attempts, verifiedAt = r.verifiedAt }
  return { kind = answer, otp = otp, locked = locked }
end)
