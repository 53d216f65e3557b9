--- @command reserve
--- @include "shared/clock"
-- Reserves an idempotency key for an OTP. KEYS: the key. ARGV: the OTP's id, keyed hashes of the body as JSON, ms to keep
-- it, the id that it may be taken over from or ''. Returns nil when it is this OTP's now; else as JSON the id that it stands
-- for, whether the body is the same, ms since it was reserved.
local t = now()
local raw = redis.call('GET', KEYS[1])
local fingerprints = cjson.decode(ARGV[2])
local held = raw and cjson.decode(raw)
if held and held.id ~= ARGV[4] then
  local fits = false
  for _, fingerprint in ipairs(fingerprints) do fits = fits or fingerprint == held.fingerprint end
  if fits and not held.shared then
    -- Two requests go on under this id: neither may let go of the key for the other.
    held.shared = true
    redis.call('SET', KEYS[1], cjson.encode(held), 'KEEPTTL')
  end
  return cjson.encode({ id = held.id, fits = fits, ageMs = t - held.at })
end
local reservation = cjson.encode({ id = ARGV[1], fingerprint = fingerprints[1], at = t })
redis.call('SET', KEYS[1], reservation, 'PXAT', digits(t + tonumber(ARGV[3])))
return nil

--- @command release
-- Gives an idempotency key back that no OTP was admitted under. KEYS: the key. ARGV: the OTP's id.
local raw = redis.call('GET', KEYS[1])
local held = raw and cjson.decode(raw)
if held and held.id == ARGV[1] and not held.shared then redis.call('DEL', KEYS[1]) end
return nil
