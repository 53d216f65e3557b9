--- @include "shared/clock"
--- @include "ranges/cohorts"
-- Counts OTPs that were sent, or verified, by app and country. KEYS: counts. ARGV: one after the other app and country,
-- 'sent' or 'verified', when they were sent, how many.
local PLACES = { sent = SENT, verified = VERIFIED }
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
  if at + MINUTE_MS + WINDOW_MS > t then note(counts, PLACES[ARGV[i + 1]], at, tonumber(ARGV[i + 3])) end
end
for name, counts in pairs(loaded) do redis.call('HSET', KEYS[1], name, cmsgpack.pack(counts)) end
return {}
