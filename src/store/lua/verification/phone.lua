--- @include "shared/clock"
-- What is known of one phone number, by app, as MessagePack. `sends`: when the app's newest OTPs were admitted; `tests`:
-- the same of those to it as a test number; `ids`: those of the newest, oldest first; `wrong`: wrong codes in a row, if any; `verifiedAt`: the last right one.
local DAY_MS = 86400000
-- An operator looks for the newest few of a number.
local MOST_IDS = 10
local WRONG_KEPT_MS, LOCK_KEPT_MS, VERIFIED_KEPT_MS = 90 * DAY_MS, 365 * DAY_MS, 7 * DAY_MS

-- What one app knows of a number, as part of what is known of it in `number`.
local function load_phone(hash, app)
  local number = { key = here.phones .. hash }
  local raw = redis.call('GET', number.key)
  number.apps = raw and cmsgpack.unpack(raw) or {}
  local phone = number.apps[app] or { sends = {}, ids = {} }
  -- Written by a version before it kept them.
  phone.ids = phone.ids or {}
  number.apps[app] = phone
  return phone, number
end

local function is_locked(phone)
  return (phone.wrong or 0) >= POLICY.maxWrongCodes
end

local function day_after_last(times, t)
  return times and #times > 0 and times[#times] + DAY_MS - t or 0
end

-- For how much longer something about a number counts.
local function kept_ms(p, t)
  if is_locked(p) then return LOCK_KEPT_MS end
  local kept = math.max(day_after_last(p.sends, t), day_after_last(p.tests, t))
  if p.verifiedAt and POLICY.fraudGuard ~= 'off' then kept = math.max(kept, p.verifiedAt + VERIFIED_KEPT_MS - t) end
  return p.wrong and math.max(kept, WRONG_KEPT_MS) or kept
end

local function save_phone(number, t)
  local kept = 0
  for _, p in pairs(number.apps) do kept = math.max(kept, kept_ms(p, t)) end
  redis.call('SET', number.key, cmsgpack.pack(number.apps), 'PXAT', digits(t + kept))
end

--- @command read
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

--- @command unlock
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
