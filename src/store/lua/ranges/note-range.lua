--- @include "shared/clock"
--- @include "ranges/cohorts"
--- @include "ranges/range"
-- Made without a policy: only `guard`, which is not called here, reads one.
-- Counts results of OTPs for the toll-fraud guard. KEYS: ranges. ARGV for each: 'sent', 'unsent' or 'verified'; the
-- moment that it counts for: when it was sent, or admitted where it never was; 1 for an OTP of an upload.
local PLACES = { unsent = UNSENT, sent = SENT, verified = VERIFIED }
local BULK_PLACES = { sent = BULK_SENT, verified = BULK_VERIFIED }
local t = now()

local function count(g, what, at, bulk)
  prune(g, t)
  if at + MINUTE_MS + WINDOW_MS > t then
    note(g, PLACES[what], at, 1)
    if bulk then note(g, BULK_PLACES[what], at, 1) end
  end
  if what == 'verified' then
    local day = entry(g.days, math.floor(t / COUNTED_DAY_MS), 0)
    day[2] = day[2] + 1
  end
end

for i, key in ipairs(KEYS) do
  local g = load_range(key, t)
  count(g, ARGV[3 * i - 2], tonumber(ARGV[3 * i - 1]), ARGV[3 * i] == '1')
  save_range(key, g, t)
end
return {}
