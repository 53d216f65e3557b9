-- OTPs counted by the minute in which they were sent, so that each minute is judged by its own OTPs. `minutes`: [minute,
-- single OTPs admitted in it, how many of those ended unsent, OTPs sent in it, how many of these were verified, of both
-- how many in bulk, bulk OTPs released in it]; `long`: [since when, sent, verified] of minutes gone by, for a day or since the last decision; `since`: only
-- what was sent after it counts for the next decision.
local MINUTE_MS = 60000
local WINDOW_MS = 600000
local COUNTED_DAY_MS = 86400000
local JUDGED_AFTER_MS = 60000
local WORST_CONVERSION = 0.35
local ADMITTED, UNSENT, SENT, VERIFIED, BULK_SENT, BULK_VERIFIED, RELEASED = 2, 3, 4, 5, 6, 7, 8

local function new_counts(t)
  return { minutes = {}, long = { t, 0, 0 } }
end

-- Minutes leave once no code of theirs can be verified any more: a code counts for 10 minutes at most.
local function prune_minutes(g, t)
  if g.long[1] + COUNTED_DAY_MS <= t then g.long = { t, 0, 0 } end
  while g.minutes[1] and (g.minutes[1][1] + 1) * MINUTE_MS + WINDOW_MS <= t do
    local m = table.remove(g.minutes, 1)
    local begins = m[1] * MINUTE_MS
    if begins >= (g.since or 0) and begins + COUNTED_DAY_MS > t then
      g.long[2], g.long[3] = g.long[2] + m[SENT], g.long[3] + m[VERIFIED]
    end
  end
end

-- The entry of a moment in a list that is ordered by it, made when there is none.
local function entry(list, moment, ...)
  local place = #list + 1
  while place > 1 and list[place - 1][1] >= moment do place = place - 1 end
  if not list[place] or list[place][1] ~= moment then table.insert(list, place, { moment, ... }) end
  return list[place]
end

-- Adds to what happened at a moment.
local function note(g, place, at, count)
  local m = entry(g.minutes, math.floor(at / MINUTE_MS), 0, 0, 0, 0, 0, 0, 0)
  m[place] = (m[place] or 0) + count
end

-- How many of those sent at least a minute ago, so that people had the time to type, and how many of these were verified.
local function judgeable(g, t)
  local sent, verified = 0, 0
  for _, m in ipairs(g.minutes) do
    local begins = m[1] * MINUTE_MS
    if begins >= (g.since or 0) and begins + MINUTE_MS + JUDGED_AFTER_MS <= t then
      sent, verified = sent + m[SENT], verified + m[VERIFIED]
    end
  end
  return sent, verified
end

-- Whether too few were verified of at least `least` in the window, or of at least `least_of_day` in a day: who pumps
-- slowly, just below what is judged by the minute, is noticed by the day. Returns 'lately', 'for_long' or nil, and of how
-- many how many were.
local function converts_badly(g, least, least_of_day, t)
  local sent, verified = judgeable(g, t)
  if sent >= least and verified <= sent * WORST_CONVERSION then return 'lately', sent, verified end
  local long_sent, long_verified = sent + g.long[2], verified + g.long[3]
  if long_sent >= least_of_day and long_verified <= long_sent * WORST_CONVERSION then
    return 'for_long', long_sent, long_verified
  end
end

-- Begins anew after a decision: the running minute holds OTPs from before it.
local function judge_anew(g, t)
  g.since = t + MINUTE_MS
  g.long = { t, 0, 0 }
end
