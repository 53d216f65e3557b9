-- Cancels an OTP for good; one that ended otherwise stays as it is. ARGV: app.
local r = load(KEYS[1])
if not r or r.app ~= ARGV[1] then return {'otp_not_found'} end
local t = now()
advance(r, t)
if r.status == 'verified' then return {'already_verified'} end
if MOVES[r.status].cancelled then
  move(r, 'cancelled', t)
  save(KEYS[1], KEYS[2], r)
  return {'cancelled', cjson.encode(r)}
end
return {'cancelled'}
