-- Gives an idempotency key back that no OTP was admitted under. KEYS: the key. ARGV: the OTP's id.
local raw = redis.call('GET', KEYS[1])
local held = raw and cjson.decode(raw)
if held and held.id == ARGV[1] and not held.shared then redis.call('DEL', KEYS[1]) end
return nil
