-- Made without a policy: only `guard`, which is not called here, reads one.
-- Counts what became of OTPs for the toll-fraud guard. KEYS: ranges. ARGV for each: 'sent', 'unsent' or 'verified'; the
-- moment that it counts for: when it was sent, or admitted where it never was.
local t = now()

local function count(g, what, at)
  prune(g, t)
  if at + MINUTE_MS + WINDOW_MS > t then note(g, PLACES[what], at) end
  if what == 'sent' then g.long[2] = g.long[2] + 1 end
  if what == 'verified' then
    g.long[3] = g.long[3] + 1
    local day = entry(g.days, math.floor(t / 86400000), 0)
    day[2] = day[2] + 1
  end
end

for i, key in ipairs(KEYS) do
  local g = load_range(key, t)
  count(g, ARGV[2 * i - 1], tonumber(ARGV[2 * i]))
  save_range(key, g, t)
end
return {}
