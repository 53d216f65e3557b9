--- @include "shared/record"
-- Cancels OTPs for good; an OTP that ended otherwise stays as it is.
-- KEYS: records. ARGV, for each: app. Returns for each: `cancelled` with the record if it was pending, or why not.
local t = now()
return for_each_record(function(app)
  local r = load()
  if not r or r.app ~= app then return {'otp_not_found'} end
  advance(r, t)
  if r.status == 'verified' then return {'already_verified'} end
  if not may_move(r.status, 'cancelled') then return {'cancelled'} end
  move(r, 'cancelled', t)
  return {'cancelled', save(r)}
end)
