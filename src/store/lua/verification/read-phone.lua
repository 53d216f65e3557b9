-- What is known of a phone number. KEYS: the number's. Returns for each app: its name, when its newest OTPs were admitted,
-- wrong codes in a row, when a code was last right (0: not lately), the ids of its newest.
local raw = redis.call('GET', KEYS[1])
local known = {}

-- Those to it as a test number, too.
local function admitted_at(phone)
  local times = {}
  for _, list in ipairs({ phone.sends, phone.tests or {} }) do
    for _, at in ipairs(list) do times[#times + 1] = at end
  end
  return times
end

for app, phone in pairs(raw and cmsgpack.unpack(raw) or {}) do
  known[#known + 1] = { app, admitted_at(phone), phone.wrong or 0, phone.verifiedAt or 0, phone.ids or {} }
end
return known
