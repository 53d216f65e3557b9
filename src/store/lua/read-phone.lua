-- The ids of the newest OTPs to a phone number, of all apps. KEYS: the number's.
local raw = redis.call('GET', KEYS[1])
local ids = {}
for _, app in pairs(raw and cmsgpack.unpack(raw) or {}) do
  for _, id in ipairs(app.ids or {}) do ids[#ids + 1] = id end
end
return ids
