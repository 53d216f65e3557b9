--- @include "shared/clock"
--- @include "ranges/cohorts"
-- The toll-fraud guard: one app's data about a number range (10,000 numbers), as MessagePack: the counts of cohorts.lua;
-- `days`: [day, verified]. Once it decided something: `slowUntil`, `blockedUntil`, `strikes` (blocks in a row),
-- `cappedUntil`, `reportedUntil` (`capped` is not reported again before), `admittedAt` (last OTP of a slowed range),
-- `refused` and `wouldRefuse` (OTPs refused, or not refused only because FRAUD_GUARD=monitor).
local LEAST_SENDS = 20 -- OTPs in 10 minutes from which conversion is judged
local LEAST_SENDS_OF_DAY = 50 -- the same in a day
local SLOW_MS = 900000 -- how long a range is slowed
local SLOW_EVERY_MS = 20000 -- interval of OTPs of a slowed range
local FIRST_BLOCK_MS = 3600000 -- duration of a first block
local BLOCK_MS = 86400000 -- duration of further ones; after so long without a decision, strikes are cleared
local OUTSTANDING = 20 -- unverified OTPs that a range may have at a time
local HISTORY_SHARE = 0.1 -- further ones, as a share of the OTPs verified in the better of two days
local QUEUED_MS = 180000 -- admitted OTPs younger than this count as sent
local KEPT_MS = 172800000 -- how long the data are kept

local function load_range(key, t)
  local raw = redis.call('GET', key)
  if raw then return cmsgpack.unpack(raw) end
  local g = new_counts(t)
  g.days = {}
  return g
end

local function save_range(key, g, t)
  local gone_at = math.max(t, g.blockedUntil or 0) + KEPT_MS
  redis.call('SET', key, cmsgpack.pack(g), 'PXAT', digits(gone_at))
end

local function prune(g, t)
  prune_minutes(g, t)
  while g.days[1] and (g.days[1][1] + 2) * COUNTED_DAY_MS <= t do table.remove(g.days, 1) end
end

-- Slows a range first, then blocks it for an hour, then for a day each time. Returns the decision, or nil.
local function judge(g, t)
  local badly = t >= (g.blockedUntil or 0) and converts_badly(g, LEAST_SENDS, LEAST_SENDS_OF_DAY, t)
  if not badly then
    if t >= (g.slowUntil or 0) + BLOCK_MS then g.strikes = nil end
    return nil
  end
  judge_anew(g, t)
  if t >= (g.slowUntil or 0) and badly == 'lately' then
    g.slowUntil = t + SLOW_MS
    return 'slowed'
  end
  g.strikes = (g.strikes or 0) + 1
  g.blockedUntil = t + (g.strikes == 1 and FIRST_BLOCK_MS or BLOCK_MS)
  g.slowUntil = g.blockedUntil + SLOW_MS
  return 'blocked'
end

-- Milliseconds until the range may have another unverified OTP, bulk and single apart. OTPs admitted or released lately
-- count as sent; older ones only if they were sent, so that an outage blocks nothing for long.
local function outstanding_wait(g, bulk, t)
  local outstanding, oldest, verified = 0, nil, 0
  for _, m in ipairs(g.minutes) do
    local begins = m[1] * MINUTE_MS
    local sent, typed, begun = m[BULK_SENT] or 0, m[BULK_VERIFIED] or 0, m[RELEASED] or 0
    if not bulk then sent, typed, begun = m[SENT] - sent, m[VERIFIED] - typed, m[ADMITTED] - m[UNSENT] end
    local out = begins + QUEUED_MS > t and math.max(sent, begun) or sent
    outstanding = outstanding + out - typed
    if out > typed then oldest = oldest or begins end
  end
  for _, day in ipairs(g.days) do verified = math.max(verified, day[2]) end
  if outstanding < OUTSTANDING + verified * HISTORY_SHARE then return 0 end
  return math.max(1, (oldest or t) + MINUTE_MS + WINDOW_MS - t)
end

-- Milliseconds until the range takes one more, and the limit that it waits for; 0: it takes one now.
local function range_wait(g, bulk, t)
  if t < (g.blockedUntil or 0) then return g.blockedUntil - t, 'blocked' end
  if t < (g.slowUntil or 0) then return math.max(0, (g.admittedAt or 0) + SLOW_EVERY_MS - t), 'slowed' end
  -- In monitor mode every large upload would be reported: it is sent before people can type its codes.
  if bulk and POLICY.fraudGuard ~= 'enforce' then return 0, '' end
  return outstanding_wait(g, bulk, t), 'capped'
end

-- Milliseconds until a line of a batch is accepted; 0: at once.
local function blocked_wait(g, t)
  if POLICY.fraudGuard ~= 'enforce' then return 0 end
  return math.max(0, (g.blockedUntil or 0) - t)
end

-- Counts a refusal, or one that would be. Returns 'capped' when the cap is to be reported: once in 10 minutes.
local function count_refused(g, bulk, wait, why, t)
  local name = POLICY.fraudGuard == 'enforce' and 'refused' or 'wouldRefuse'
  -- A line of a batch is not refused: it waits.
  if not bulk then g[name] = (g[name] or 0) + 1 end
  if why ~= 'capped' then return nil end
  g.cappedUntil = t + wait
  if t < (g.reportedUntil or 0) then return nil end
  g.reportedUntil = t + WINDOW_MS
  return 'capped'
end

-- Decides about one more OTP, and counts it. Returns the decision about the range ('' for none), for how many
-- milliseconds this OTP is refused (0: admit it), and why. Numbers verified lately are exempt, so that pumping in a
-- range does not lock out an app's customers.
local function guard(g, otp, t)
  prune(g, t)
  local decision = judge(g, t)
  local wait, why = 0, ''
  if not otp.exempt then wait, why = range_wait(g, otp.bulk, t) end
  if wait > 0 then
    decision = count_refused(g, otp.bulk, wait, why, t) or decision
    if POLICY.fraudGuard == 'enforce' then return decision or '', wait, why end
  end
  -- Exempt numbers do not count for a slowed range.
  if not otp.exempt then
    note(g, otp.bulk and RELEASED or ADMITTED, t, 1)
    if g.slowUntil and wait == 0 then g.admittedAt = t end
  end
  return decision or '', 0, ''
end

--- @command take
-- Decides about new OTPs. KEYS: ranges. ARGV for each: a digit for every OTP: 1 where its number is exempt, plus 2
-- where it is released from a batch. Returns for each, OTP by OTP, as JSON: the decision about the range, for how many
-- ms the OTP is refused, and why.
local t = now()
local answers = {}
for i, key in ipairs(KEYS) do
  local g, answer = load_range(key, t), {}
  for digit in string.gmatch(ARGV[i], '.') do
    local otp = { exempt = digit == '1' or digit == '3', bulk = digit >= '2' }
    local decision, wait, why = guard(g, otp, t)
    answer[#answer + 1] = cjson.encode({ decision = decision, waitMs = wait, reason = why })
  end
  save_range(key, g, t)
  answers[i] = answer
end
return answers

--- @command blocked
-- Returns for how many ms each range accepts no lines of batches. KEYS: ranges.
local t, answers = now(), {}
for i, key in ipairs(KEYS) do answers[i] = blocked_wait(load_range(key, t), t) end
return answers

--- @command note
-- Counts results of OTPs for the toll-fraud guard. KEYS: ranges. ARGV for each: 'sent', 'unsent' or 'verified'; the time
-- for which it counts: when it was sent, or admitted if it never was; 1 for an OTP of an upload.
local INDEXES = { unsent = UNSENT, sent = SENT, verified = VERIFIED }
local BULK_INDEXES = { sent = BULK_SENT, verified = BULK_VERIFIED }
local t = now()

local function count(g, what, at, bulk)
  prune(g, t)
  if at + MINUTE_MS + WINDOW_MS > t then
    note(g, INDEXES[what], at, 1)
    if bulk then note(g, BULK_INDEXES[what], at, 1) end
  end
  if what == 'verified' then
    local day = entry(g.days, math.floor(t / COUNTED_DAY_MS), 0)
    day[2] = day[2] + 1
  end
end

local counted = {}
for i, key in ipairs(KEYS) do
  counted[key] = counted[key] or load_range(key, t)
  count(counted[key], ARGV[3 * i - 2], tonumber(ARGV[3 * i - 1]), ARGV[3 * i] == '1')
end
for key, g in pairs(counted) do save_range(key, g, t) end
return {}

--- @command read
-- Reads the decisions about a range. KEYS: range. Returns nil for an unknown one, else JSON.
local raw = redis.call('GET', KEYS[1])
if not raw then return nil end
local g = cmsgpack.unpack(raw)
return cjson.encode({
  slowUntil = g.slowUntil or 0,
  blockedUntil = g.blockedUntil or 0,
  cappedUntil = g.cappedUntil or 0,
  refused = g.refused or 0,
  wouldRefuse = g.wouldRefuse or 0,
})

--- @command emit-blocked
--- @include "shared/events"
-- Emits `range.blocked` where the function that decided it could not reach the events.
-- KEYS: events. ARGV: app and range.
emit(KEYS[1], 'range.blocked', 'at', digits(now()), 'range', ARGV[1])
return 1
