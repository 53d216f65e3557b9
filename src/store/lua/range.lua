-- The toll-fraud guard: what is known of one app and one number range (10,000 numbers), as MessagePack. `minutes`: [minute, OTPs
-- admitted in it, how many of those ended unsent, sent in it, how many of these were verified]; `days`: [day, verified];
-- `long`: [since when, sent, verified], for a day or since the last decision. Only once something was decided:
-- `slowUntil`, `blockedUntil`, `cappedUntil`, `strikes`; `since`: only what was sent after it counts for the next
-- decision; `admittedAt`: the newest that was let through; `refused`: how many were, or would have been.
local MINUTE_MS = 60000
local WINDOW_MS = 600000
local JUDGED_AFTER_MS = 60000
local LEAST_SENDS = 20
local LEAST_SENDS_OF_DAY = 60
local WORST_CONVERSION = 0.35
local SLOW_MS = 900000
local SLOW_EVERY_MS = 20000
local FIRST_BLOCK_MS = 3600000
local BLOCK_MS = 86400000
local OUTSTANDING = 20
local HISTORY_SHARE = 0.1
local QUEUED_MS = 180000
local KEPT_MS = 172800000
local ADMITTED, UNSENT, SENT, VERIFIED = 2, 3, 4, 5
local PLACES = { admitted = ADMITTED, unsent = UNSENT, sent = SENT, verified = VERIFIED }

local function load_range(key, t)
  local raw = redis.call('GET', key)
  if raw then return cmsgpack.unpack(raw) end
  return { minutes = {}, days = {}, long = { t, 0, 0 } }
end

local function save_range(key, g, t)
  local gone_at = math.max(t, g.blockedUntil or 0) + KEPT_MS
  redis.call('SET', key, cmsgpack.pack(g), 'PXAT', digits(gone_at))
end

local function prune(g, t)
  while g.minutes[1] and (g.minutes[1][1] + 1) * MINUTE_MS + WINDOW_MS <= t do table.remove(g.minutes, 1) end
  while g.days[1] and (g.days[1][1] + 2) * 86400000 <= t do table.remove(g.days, 1) end
  if g.long[1] + BLOCK_MS <= t then g.long = { t, 0, 0 } end
end

-- The entry of a moment in a list that is ordered by it, made when there is none.
local function entry(list, moment, ...)
  local place = #list + 1
  while place > 1 and list[place - 1][1] >= moment do place = place - 1 end
  if not list[place] or list[place][1] ~= moment then table.insert(list, place, { moment, ... }) end
  return list[place]
end

-- Adds one to what happened at a moment.
local function note(g, place, at)
  local m = entry(g.minutes, math.floor(at / MINUTE_MS), 0, 0, 0, 0)
  m[place] = m[place] + 1
end

-- True when those sent at least a minute ago, so that people had the time to type, were verified too rarely.
local function converts_badly(g, t)
  local sent, verified = 0, 0
  for _, m in ipairs(g.minutes) do
    local begins = m[1] * MINUTE_MS
    if begins >= (g.since or 0) and begins + MINUTE_MS + JUDGED_AFTER_MS <= t then
      sent, verified = sent + m[SENT], verified + m[VERIFIED]
    end
  end
  return sent >= LEAST_SENDS and verified <= sent * WORST_CONVERSION
end

-- Who pumps slowly, just below what is judged by the minute, is noticed by the day.
local function converts_badly_for_long(g)
  local _, sent, verified = unpack(g.long)
  return sent >= LEAST_SENDS_OF_DAY and verified <= sent * WORST_CONVERSION
end

-- Slowed at first, then blocked for an hour, then for a day each time. Answers what was decided now, or nil.
local function judge(g, t)
  local for_long = converts_badly_for_long(g)
  if t < (g.blockedUntil or 0) or not (for_long or converts_badly(g, t)) then
    if t >= (g.slowUntil or 0) + BLOCK_MS then g.strikes = nil end
    return nil
  end
  -- The running minute holds OTPs from before this decision.
  g.since = t + MINUTE_MS
  g.long = { t, 0, 0 }
  if t >= (g.slowUntil or 0) and not for_long then
    g.slowUntil = t + SLOW_MS
    return 'slowed'
  end
  g.strikes = (g.strikes or 0) + 1
  g.blockedUntil = t + (g.strikes == 1 and FIRST_BLOCK_MS or BLOCK_MS)
  g.slowUntil = g.blockedUntil + SLOW_MS
  return 'blocked'
end

-- How many OTPs of the range may be unverified at a time: more where more were verified before. What was admitted
-- lately counts as if it were sent; after a while only what was sent does, so that an outage blocks nothing for long.
local function outstanding_wait(g, t)
  local outstanding, oldest, verified = 0, nil, 0
  for _, m in ipairs(g.minutes) do
    local begins = m[1] * MINUTE_MS
    local out = begins + QUEUED_MS > t and math.max(m[SENT], m[ADMITTED] - m[UNSENT]) or m[SENT]
    outstanding = outstanding + out - m[VERIFIED]
    if out > m[VERIFIED] then oldest = oldest or begins end
  end
  for _, day in ipairs(g.days) do verified = math.max(verified, day[2]) end
  if outstanding < OUTSTANDING + verified * HISTORY_SHARE then return 0 end
  return math.max(1, (oldest or t) + MINUTE_MS + WINDOW_MS - t)
end

-- Milliseconds until the range takes one more; 0: now.
local function range_wait(g, t)
  if t < (g.blockedUntil or 0) then return g.blockedUntil - t end
  if t < (g.slowUntil or 0) then return math.max(0, (g.admittedAt or 0) + SLOW_EVERY_MS - t) end
  return outstanding_wait(g, t)
end

-- Decides about one more OTP, and counts it. Answers what was decided about the range now ('' for nothing), and for how
-- many milliseconds this OTP is refused (0: admit it). Numbers verified lately are exempt, so that nobody's customers
-- are locked out with the pumped numbers beside theirs.
local function guard(g, exempt, t)
  prune(g, t)
  local decided = judge(g, t) or ''
  local wait = exempt and 0 or range_wait(g, t)
  if wait > 0 then
    g.refused = (g.refused or 0) + 1
    -- The cap is no decision that lasts, but the operator hears of it once in a while.
    if t >= math.max(g.slowUntil or 0, g.cappedUntil or 0) then
      g.cappedUntil = t + WINDOW_MS
      decided = 'capped'
    end
    if POLICY.fraudGuard == 'enforce' then return decided, wait end
  end
  -- Exempt numbers use up none of the turns of a slowed range.
  if not exempt then
    note(g, ADMITTED, t)
    if g.slowUntil then g.admittedAt = t end
  end
  return decided, 0
end
