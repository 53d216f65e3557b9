--- @include "shared/clock"
--- @include "ranges/cohorts"

--- @command note
-- Counts OTPs that were sent, or verified, by app and country. KEYS: counts. ARGV: one after the other app and country,
-- 'sent' or 'verified', when they were sent, how many.
local INDEXES = { sent = SENT, verified = VERIFIED }
local t = now()
local loaded = {}

local function counts_of(name)
  if not loaded[name] then
    local raw = redis.call('HGET', KEYS[1], name)
    loaded[name] = raw and cmsgpack.unpack(raw) or new_counts(t)
  end
  return loaded[name]
end

for i = 1, #ARGV, 4 do
  local counts, at = counts_of(ARGV[i]), tonumber(ARGV[i + 2])
  prune_minutes(counts, t)
  if at + MINUTE_MS + WINDOW_MS > t then note(counts, INDEXES[ARGV[i + 1]], at, tonumber(ARGV[i + 3])) end
end
for name, counts in pairs(loaded) do redis.call('HSET', KEYS[1], name, cmsgpack.pack(counts)) end
return {}

--- @command lately
-- Counts, for each app and country, OTPs sent in the last ten minutes (`sent`), of these at least a minute ago
-- (`judged`), and of those `verified`. KEYS: counts. Returns each as JSON.
local t, answers = now(), {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local counts, sent = cmsgpack.unpack(all[i + 1]), 0
  counts.since = nil
  prune_minutes(counts, t)
  for _, m in ipairs(counts.minutes) do sent = sent + m[SENT] end
  local judged, verified = judgeable(counts, t)
  answers[#answers + 1] = cjson.encode({ name = all[i], sent = sent, judged = judged, verified = verified })
end
return answers

--- @command judge
--- @include "shared/events"
-- Evaluates the conversion of each app and country, and switches the alarms. KEYS: counts, alarms, events.
-- Returns for each alarm that was switched, as JSON: app and country, OTPs sent and verified (both 0: it ended).
local LEAST_SENDS = 200
local LEAST_SENDS_OF_DAY = 500
local HELD_MS = 3600000
local t = now()
local switched = {}

local function raise(name, sent, verified)
  local raw = redis.call('HGET', KEYS[2], name)
  local since = raw and cjson.decode(raw).since or t
  local alarm = { since = since, ends = t + HELD_MS, sent = sent, verified = verified }
  redis.call('HSET', KEYS[2], name, cjson.encode(alarm))
  if raw then return end
  local app, country = string.match(name, '^(%S+) (%S+)$')
  emit(KEYS[3], 'conversion.low', 'at', digits(t), 'app', app, 'country', country,
    'sent', digits(sent), 'verified', digits(verified))
  switched[#switched + 1] = cjson.encode({ name = name, sent = sent, verified = verified })
end

local function judge(name, raw)
  local counts = cmsgpack.unpack(raw)
  prune_minutes(counts, t)
  local badly, sent, verified = converts_badly(counts, LEAST_SENDS, LEAST_SENDS_OF_DAY, t)
  if badly then
    judge_anew(counts, t)
    raise(name, sent, verified)
  end
  if #counts.minutes == 0 and counts.long[2] == 0 then
    redis.call('HDEL', KEYS[1], name)
  else
    redis.call('HSET', KEYS[1], name, cmsgpack.pack(counts))
  end
end

local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do judge(all[i], all[i + 1]) end
local alarms = redis.call('HGETALL', KEYS[2])
for i = 1, #alarms, 2 do
  if cjson.decode(alarms[i + 1]).ends <= t then
    redis.call('HDEL', KEYS[2], alarms[i])
    switched[#switched + 1] = cjson.encode({ name = alarms[i], sent = 0, verified = 0 })
  end
end
return switched
