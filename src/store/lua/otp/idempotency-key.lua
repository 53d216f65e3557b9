--- @command reserve
--- @include "shared/clock"
-- Reserves an idempotency key for an OTP. KEYS: the key. ARGV: the OTP's id, keyed hashes of the body as JSON, ms to keep
-- it, the id of a holder that may be replaced or ''. Returns nil when this OTP holds it; else as JSON the holder's id,
-- whether the body is the same, ms since it was reserved.
local t = now()
local raw = redis.call('GET', KEYS[1])
local fingerprints = cjson.decode(ARGV[2])
local held = raw and cjson.decode(raw)
if held and held.id ~= ARGV[4] then
  local fits = false
  for _, fingerprint in ipairs(fingerprints) do fits = fits or fingerprint == held.fingerprint end
  if fits and not held.shared then
    -- Two requests continue under this id: neither may release the key of the other.
    held.shared = true
    redis.call('SET', KEYS[1], cjson.encode(held), 'KEEPTTL')
  end
  return cjson.encode({ id = held.id, fits = fits, ageMs = t - held.at })
end
local reservation = cjson.encode({ id = ARGV[1], fingerprint = fingerprints[1], at = t })
redis.call('SET', KEYS[1], reservation, 'PXAT', digits(t + tonumber(ARGV[3])))
return nil

--- @command release
-- Releases an idempotency key under which no OTP was admitted. KEYS: the key. ARGV: the OTP's id.
local raw = redis.call('GET', KEYS[1])
local held = raw and cjson.decode(raw)
if held and held.id == ARGV[1] and not held.shared then redis.call('DEL', KEYS[1]) end
return nil
