-- The toll-fraud guard: what is known of one app and one number range (10,000 numbers), as JSON. `minutes`: how many
-- OTPs were admitted in that minute, how many of those ended unsent, how many were sent in it, and how many of these
-- were verified; `days`: verified by day; `long`: sent and verified for a day or since the last decision;
-- `slowUntil`, `blockedUntil`, `cappedUntil`, `strikes`: what was decided; `since`: only what was sent after it counts
-- for the next decision; `refused`: how many were, or would have been.
local MINUTE_MS = 60000
local GUARD = {
  windowMs = 600000, judgedAfterMs = 60000, leastSends = 20, leastSendsOfDay = 60, worstConversion = 0.35,
  slowMs = 900000, slowEveryMs = 20000, firstBlockMs = 3600000, blockMs = 86400000,
  outstanding = 20, historyShare = 0.1, queuedMs = 180000, keptMs = 172800000,
}

local function load_range(key, t)
  local raw = redis.call('GET', key)
  if raw then return cjson.decode(raw) end
  return {
    minutes = {}, days = {}, long = { from = t, sent = 0, verified = 0 }, since = 0, admittedAt = 0, refused = 0,
    slowUntil = 0, blockedUntil = 0, cappedUntil = 0, strikes = 0,
  }
end

local function save_range(key, g, t)
  redis.call('SET', key, cjson.encode(g), 'PXAT', string.format('%.0f', math.max(t, g.blockedUntil) + GUARD.keptMs))
end

local function prune(g, t)
  for minute in pairs(g.minutes) do
    if (tonumber(minute) + 1) * MINUTE_MS + GUARD.windowMs <= t then g.minutes[minute] = nil end
  end
  for day in pairs(g.days) do
    if (tonumber(day) + 2) * 86400000 <= t then g.days[day] = nil end
  end
  if g.long.from + GUARD.blockMs <= t then g.long = { from = t, sent = 0, verified = 0 } end
end

-- Adds one to what happened at a moment.
local function note(g, what, at)
  local minute = string.format('%.0f', math.floor(at / MINUTE_MS))
  local m = g.minutes[minute] or { admitted = 0, unsent = 0, sent = 0, verified = 0 }
  m[what] = m[what] + 1
  g.minutes[minute] = m
end

-- True when those sent at least a minute ago, so that people had the time to type, were verified too rarely.
local function converts_badly(g, t)
  local sent, verified = 0, 0
  for minute, m in pairs(g.minutes) do
    local begins = tonumber(minute) * MINUTE_MS
    if begins >= g.since and begins + MINUTE_MS + GUARD.judgedAfterMs <= t then
      sent, verified = sent + m.sent, verified + m.verified
    end
  end
  return sent >= GUARD.leastSends and verified <= sent * GUARD.worstConversion
end

-- Who pumps slowly, just below what is judged by the minute, is noticed by the day.
local function converts_badly_for_long(g)
  return g.long.sent >= GUARD.leastSendsOfDay and g.long.verified <= g.long.sent * GUARD.worstConversion
end

-- Slowed at first, then blocked for an hour, then for a day each time. Answers what was decided now, or nil.
local function judge(g, t)
  local for_long = converts_badly_for_long(g)
  if t < g.blockedUntil or not (for_long or converts_badly(g, t)) then
    if t >= g.slowUntil + GUARD.blockMs then g.strikes = 0 end
    return nil
  end
  -- The running minute holds OTPs from before this decision.
  g.since = t + MINUTE_MS
  g.long = { from = t, sent = 0, verified = 0 }
  if t >= g.slowUntil and not for_long then
    g.slowUntil = t + GUARD.slowMs
    return 'slowed'
  end
  g.strikes = g.strikes + 1
  g.blockedUntil = t + (g.strikes == 1 and GUARD.firstBlockMs or GUARD.blockMs)
  g.slowUntil = g.blockedUntil + GUARD.slowMs
  return 'blocked'
end

-- How many OTPs of the range may be unverified at a time: more where more were verified before. What was admitted
-- lately counts as if it were sent; after a while only what was sent does, so that an outage blocks nothing for long.
local function outstanding_wait(g, t)
  local outstanding, oldest, verified = 0, nil, 0
  for minute, m in pairs(g.minutes) do
    local begins = tonumber(minute) * MINUTE_MS
    local out = begins + GUARD.queuedMs > t and math.max(m.sent, m.admitted - m.unsent) or m.sent
    outstanding = outstanding + out - m.verified
    if out > m.verified then oldest = math.min(oldest or t, begins) end
  end
  for _, count_of_day in pairs(g.days) do verified = math.max(verified, count_of_day) end
  if outstanding < GUARD.outstanding + verified * GUARD.historyShare then return 0 end
  return math.max(1, (oldest or t) + MINUTE_MS + GUARD.windowMs - t)
end

-- Milliseconds until the range takes one more; 0: now.
local function range_wait(g, t)
  if t < g.blockedUntil then return g.blockedUntil - t end
  if t < g.slowUntil then return math.max(0, g.admittedAt + GUARD.slowEveryMs - t) end
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
    g.refused = g.refused + 1
    -- The cap is no decision that lasts, but the operator hears of it once in a while.
    if t >= math.max(g.slowUntil, g.cappedUntil) then
      g.cappedUntil = t + GUARD.windowMs
      decided = 'capped'
    end
    if POLICY.fraudGuard == 'enforce' then return decided, wait end
  end
  -- Exempt numbers use up none of the turns of a slowed range.
  if not exempt then
    note(g, 'admitted', t)
    g.admittedAt = t
  end
  return decided, 0
end
