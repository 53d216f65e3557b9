-- Gives an idempotency key back that no OTP was admitted under. KEYS: the key. ARGV: the OTP's id.
local raw = redis.call('GET', KEYS[1])
if raw and cjson.decode(raw).id == ARGV[1] then redis.call('DEL', KEYS[1]) end
return nil
