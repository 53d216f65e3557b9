--- @include "shared/clock"
-- One phone number as MessagePack, by app. `sends`: admission times; `tests`: admission times as a test number; `ids`: at
-- most 10 of the newest OTPs, oldest first; `wrong`: wrong codes in a row; `verifiedAt`: time of the last right code.
local DAY_MS = 86400000
local MOST_IDS = 10
local WRONG_KEPT_MS, LOCK_KEPT_MS, VERIFIED_KEPT_MS = 90 * DAY_MS, 365 * DAY_MS, 7 * DAY_MS

-- The data of one app about a number, and those of all apps in `number`.
local function load_phone(hash, app)
  local number = { key = here.phones .. hash }
  local raw = redis.call('GET', number.key)
  number.apps = raw and cmsgpack.unpack(raw) or {}
  local phone = number.apps[app] or { sends = {}, ids = {} }
  number.apps[app] = phone
  return phone, number
end

local function is_locked(phone)
  return (phone.wrong or 0) >= POLICY.maxWrongCodes
end

local function day_after_last(times, t)
  return times and #times > 0 and times[#times] + DAY_MS - t or 0
end

-- For how many ms an app's data about a number are kept.
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
-- Reads a phone number. KEYS: the number's. Returns for each app: its name, admission times, wrong codes in a row,
-- `verifiedAt` or 0, ids of its newest OTPs.
local raw = redis.call('GET', KEYS[1])
local known = {}

local function admitted_at(phone)
  local times = {}
  for _, list in ipairs({ phone.sends, phone.tests or {} }) do
    for _, at in ipairs(list) do times[#times + 1] = at end
  end
  return times
end

for app, phone in pairs(raw and cmsgpack.unpack(raw) or {}) do
  known[#known + 1] = { app, admitted_at(phone), phone.wrong or 0, phone.verifiedAt or 0, phone.ids }
end
return known

--- @command unlock
-- Deletes the data of one app about a phone number. KEYS: the number's. ARGV: app. Returns 1 when there were any.
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
