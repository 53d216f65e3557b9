--- @include "shared/clock"
-- The calls for each app's OTPs: a hash, JSON by app. `acceptedAt`: claim time of the newest accepted call. `refusedAt`:
-- time of the last unrecognised refusal. `refusals`: claim times of unrecognised refusals since the last accepted call,
-- by hash of the number. `hold`: no OTP of the app is sent or admitted until `tryAt`, then one; `since`: its begin,
-- `text`: the provider's message. `resumedAt`: end of the last hold.
local REFUSALS_KEPT_MS, HOLD_KEPT_MS = 3600000, 86400000
local FIRST_TRY_MS, LAST_TRY_MS = 10000, 60000

local function load_calls(key, app)
  local raw = redis.call('HGET', key, app)
  local a = raw and cjson.decode(raw) or {}
  a.refusals = a.refusals or {}
  -- The app has requested nothing since.
  if a.hold and a.hold.tryAt + HOLD_KEPT_MS < now() then a.hold = nil end
  return a
end

local function save_calls(key, app, a)
  if next(a.refusals) == nil then a.refusals = nil end
  redis.call('HSET', key, app, cjson.encode(a))
end

-- Removes refusals of calls claimed before this time; returns how many remain.
local function trim_refusals(refusals, claimed_before)
  local left = 0
  for hash, claimed_at in pairs(refusals) do
    if claimed_at < claimed_before then refusals[hash] = nil else left = left + 1 end
  end
  return left
end

--- @command read-holds
-- Drops refusals of more than an hour ago, and returns the apps on hold as JSON: app, begin, the provider's message, ms
-- until an OTP may be tried. KEYS: calls by app.
local t, holds = now(), {}
for _, app in ipairs(redis.call('HKEYS', KEYS[1])) do
  local a = load_calls(KEYS[1], app)
  local hold = a.hold
  -- Hashes of numbers must not stay when an app stops sending.
  local oldest = t
  for _, claimed_at in pairs(a.refusals) do oldest = math.min(oldest, claimed_at) end
  if oldest < t - REFUSALS_KEPT_MS then
    trim_refusals(a.refusals, t - REFUSALS_KEPT_MS)
    save_calls(KEYS[1], app, a)
  end
  if hold then
    local try_in = math.max(0, hold.tryAt - t)
    holds[#holds + 1] = cjson.encode({ app = app, since = hold.since, text = hold.text, tryInMs = try_in })
  end
end
return holds

--- @command note-accepted
--- @include "shared/events"
-- Notes accepted calls. Ends a hold if the accepted call was claimed after it began, or if without the refusals claimed
-- before that call the hold would not have begun; returns the apps. KEYS: calls by app, events. ARGV: different numbers
-- in a row that put an app on hold; app, when its call was claimed, …
local t, ended, limit = now(), {}, tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  local app, claimed_at = ARGV[i], tonumber(ARGV[i + 1])
  local a = load_calls(KEYS[1], app)
  a.acceptedAt = math.max(a.acceptedAt or 0, claimed_at)
  local left = trim_refusals(a.refusals, claimed_at)
  local untried = a.hold and a.hold.tryAt == a.hold.since + FIRST_TRY_MS
  if a.hold and (claimed_at > a.hold.since or (untried and left < limit)) then
    local text = a.hold.text
    emit(KEYS[2], 'sending.resumed', 'at', digits(t), 'trouble', 'unrecognised_refusal', 'text', text, 'app', app)
    a.hold, a.resumedAt, a.refusals = nil, t, {}
    ended[#ended + 1] = app
  end
  save_calls(KEYS[1], app, a)
end
return ended

--- @command note-refusals
--- @include "shared/events"
-- Notes unrecognised refusals of one app in a row. Returns 1 where this put the app on hold, and 1 while it is.
-- KEYS: calls by app, events. ARGV: app, the text, different numbers in a row that put it on hold; when each of the calls
-- was claimed and the hash of its number.
local app, text, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local t, a = now(), load_calls(KEYS[1], app)
local began = false
a.refusedAt = t
if a.hold then
  a.hold.text = text
else
  for i = 4, #ARGV, 2 do a.refusals[ARGV[i + 1]] = tonumber(ARGV[i]) end
  -- Refusals count since the last accepted call; a call claimed before the last hold ended was refused because of that.
  local from = math.max(a.acceptedAt or 0, (a.resumedAt or -1) + 1, t - REFUSALS_KEPT_MS)
  began = trim_refusals(a.refusals, from) >= limit
end
if began then
  a.hold = { since = t, text = text, tryAt = t + FIRST_TRY_MS }
  emit(KEYS[2], 'sending.paused', 'at', digits(t), 'trouble', 'unrecognised_refusal', 'text', text, 'app', app)
end
save_calls(KEYS[1], app, a)
return {began and 1 or 0, a.hold and 1 or 0}

--- @command classify-refusal
-- Classifies an unrecognised refusal of an OTP. `final`: the OTP ends; `again`: it is sent again, since its app was on
-- hold; `held`: not known yet.
-- KEYS: calls by app. ARGV: app, when the refused call was claimed, and when the first one was.
-- Calls claimed within this time may have reached the provider in another order.
local ORDER_MS = 1000
-- A single refusal concerns its OTP; several are held longer, since the app's calls are then made one at a time.
local ALONE_MS, SEVERAL_MS = 3000, 10000
local t, claimed_at, first_at = now(), tonumber(ARGV[2]), tonumber(ARGV[3])
local a = load_calls(KEYS[1], ARGV[1])
local accepted_at = a.acceptedAt or 0
local of_last_hold = claimed_at <= (a.resumedAt or 0)
-- Refused again while other OTPs of the app are accepted. Refusals within one hold count once.
if not of_last_hold and claimed_at > first_at and accepted_at > first_at then return 'final' end
if a.hold then return 'held' end
if of_last_hold then return 'again' end
if accepted_at > claimed_at + ORDER_MS then return 'final' end
local several = trim_refusals(a.refusals, 0) > 1
return t - math.max(a.refusedAt or 0, claimed_at) >= (several and SEVERAL_MS or ALONE_MS) and 'final' or 'held'

--- @command take-trial
-- Lets one caller try an OTP of an app on hold: 10 s after its begin, then after a quarter of its age, at most a
-- minute, so that a hold of any length costs few calls. Returns 0 when it may, the ms until the next try, or -1 without
-- a hold.
-- KEYS: calls by app. ARGV: app.
local t, a = now(), load_calls(KEYS[1], ARGV[1])
if not a.hold then return -1 end
if t < a.hold.tryAt then return a.hold.tryAt - t end
a.hold.tryAt = t + math.min(LAST_TRY_MS, math.max(FIRST_TRY_MS, math.floor((t - a.hold.since) / 4)))
save_calls(KEYS[1], ARGV[1], a)
return 0

--- @command return-trial
-- Returns an unused trial of an app on hold: the next OTP may be tried at once.
-- KEYS: calls by app. ARGV: app.
local a = load_calls(KEYS[1], ARGV[1])
if not a.hold then return end
a.hold.tryAt = math.min(a.hold.tryAt, now())
save_calls(KEYS[1], ARGV[1], a)

--- @command forget-refusals
-- Deletes a number's refusals, of every app. KEYS: calls by app. ARGV: hashes of the number.
for _, app in ipairs(redis.call('HKEYS', KEYS[1])) do
  local a, found = load_calls(KEYS[1], app), false
  for _, hash in ipairs(ARGV) do
    found = found or a.refusals[hash] ~= nil
    a.refusals[hash] = nil
  end
  if found then save_calls(KEYS[1], app, a) end
end
