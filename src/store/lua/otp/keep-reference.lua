--- @include "shared/clock"
--- @include "otp/reference"
-- KEYS: the reference. ARGV: id of an OTP that carries it, ms that this lives at most.
local t = now()
keep_reference(KEYS[1], ARGV[1], t + tonumber(ARGV[2]), t)
return nil
