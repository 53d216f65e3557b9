-- Forgets what one app knows of a phone number. KEYS: the number's. ARGV: app. Returns 1 when anything was known.
local raw = redis.call('GET', KEYS[1])
local apps = raw and cmsgpack.unpack(raw) or {}
if not apps[ARGV[1]] then return 0 end
apps[ARGV[1]] = nil
if next(apps) then
  redis.call('SET', KEYS[1], cmsgpack.pack(apps), 'KEEPTTL')
else
  redis.call('DEL', KEYS[1])
end
return 1
