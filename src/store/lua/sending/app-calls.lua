--- @include "shared/clock"
-- What is known of the calls for each app's OTPs: a hash, JSON by app. `acceptedAt`: when the newest call that the provider
-- accepted was claimed. `refusedAt`: when a refusal in unknown words came last. `row`: numbers refused in unknown words since
-- the last accepted call, by hash, with when they were claimed. `hold`: no OTP of the app is sent or admitted until `tryAt`,
-- then one; `since`, `text`: when that began, and what the provider said. `resumedAt`: when the last hold ended.
local ROW_KEPT_MS, HOLD_KEPT_MS = 3600000, 86400000
local FIRST_TRY_MS, LAST_TRY_MS = 10000, 60000

local function load_calls(key, app)
  local raw = redis.call('HGET', key, app)
  local a = raw and cjson.decode(raw) or {}
  a.row = a.row or {}
  -- Of an app that asks for nothing any more.
  if a.hold and a.hold.tryAt + HOLD_KEPT_MS < now() then a.hold = nil end
  return a
end

local function save_calls(key, app, a)
  if next(a.row) == nil then a.row = nil end
  redis.call('HSET', key, app, cjson.encode(a))
end

-- Removes refusals of calls that were claimed before; answers how many are left.
local function trim_row(row, claimed_before)
  local left = 0
  for hash, claimed_at in pairs(row) do
    if claimed_at < claimed_before then row[hash] = nil else left = left + 1 end
  end
  return left
end
