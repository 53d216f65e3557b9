-- Writes down what the provider said to one verification attempt.
-- ARGV: lease token, verdict, keyed hash of idempotency key and code ('' for none).
local r = load(KEYS[1])
if not r then return {'otp_not_found'} end
local t = now()
local lease = r.leases and r.leases[ARGV[1]]
local verdict = ARGV[2]
local answer = verdict

advance(r, t)
if verdict == 'correct' and r.verifiedBy == ARGV[1] then
  -- The same command again, after a reconnect: this very attempt verified the OTP.
elseif verdict == 'correct' then
  -- Admitted before the expiry, it may finish after it; once its lease has lapsed, it may not.
  if not lease or lease <= t then
    answer = 'unavailable'
  elseif r.status == 'cancelled' then
    answer = 'otp_cancelled'
  elseif r.status == 'verified' then
    answer = 'already_verified'
  else
    move(r, 'verified', t)
    r.verifiedAt, r.verifiedBy = t, ARGV[1]
    if ARGV[3] ~= '' then r.verifiedKey = ARGV[3] end
    local phone = load_phone(r.phone, r.app)
    phone.wrong, phone.verifiedAt = 0, t
    save_phone(r.phone, r.app, phone, t)
  end
elseif verdict == 'unsent' and lease then
  if r.status ~= 'locked' then r.attempts = r.attempts - 1 end
  local phone = load_phone(r.phone, r.app)
  phone.wrong = math.max(0, phone.wrong - 1)
  save_phone(r.phone, r.app, phone, t)
end
if r.leases then r.leases[ARGV[1]] = nil end
if r.status == 'sent' then lock_if_exhausted(r, t) end
save(KEYS[1], KEYS[2], r)
local locked = verdict ~= 'correct' and load_phone(r.phone, r.app).wrong >= POLICY.wrongCodes
return {answer, cjson.encode(r), locked and 1 or 0}
