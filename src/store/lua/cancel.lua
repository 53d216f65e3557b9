-- Cancels OTPs for good; one that ended otherwise stays as it is. ARGV: app.
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
