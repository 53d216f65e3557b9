-- Counts of OTPs by the minute of their sending, so that each minute is judged by its own OTPs. `minutes`: lists of a
-- minute and its counts, by the indexes below, oldest first; `long`: [since, sent, verified] of the minutes before, for a
-- day or since the last decision; `since`: only OTPs sent after it count for the next decision.
local MINUTE_MS = 60000
local WINDOW_MS = 600000
local COUNTED_DAY_MS = 86400000
local JUDGED_AFTER_MS = 60000
local WORST_CONVERSION = 0.35
local ADMITTED, UNSENT = 2, 3 -- single OTPs admitted, and those that ended unsent
local SENT, VERIFIED = 4, 5 -- OTPs sent, and those verified, bulk included
local BULK_SENT, BULK_VERIFIED, RELEASED = 6, 7, 8 -- bulk OTPs sent, those verified, and those released

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

-- The entry of a moment in a list that is ordered by it, created when there is none.
local function entry(list, moment, ...)
  local i = #list + 1
  while i > 1 and list[i - 1][1] >= moment do i = i - 1 end
  if not list[i] or list[i][1] ~= moment then table.insert(list, i, { moment, ... }) end
  return list[i]
end

-- Adds to a count (ADMITTED, UNSENT, …) of a moment.
local function note(g, index, at, count)
  local m = entry(g.minutes, math.floor(at / MINUTE_MS), 0, 0, 0, 0, 0, 0, 0)
  m[index] = (m[index] or 0) + count
end

-- OTPs sent at least a minute ago, so that people had time to type the code, and how many of these were verified.
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

-- Whether too few were verified of at least `least` OTPs in the window, or of at least `least_of_day` in a day, which
-- detects slow pumping. Returns 'lately' (10-minute window), 'for_long' (day) or nil, then sent and verified.
local function converts_badly(g, least, least_of_day, t)
  local sent, verified = judgeable(g, t)
  if sent >= least and verified <= sent * WORST_CONVERSION then return 'lately', sent, verified end
  local long_sent, long_verified = sent + g.long[2], verified + g.long[3]
  if long_sent >= least_of_day and long_verified <= long_sent * WORST_CONVERSION then
    return 'for_long', long_sent, long_verified
  end
end

-- Restarts the counts after a decision, with the next minute: the current one holds OTPs from before it.
local function judge_anew(g, t)
  g.since = t + MINUTE_MS
  g.long = { t, 0, 0 }
end
