-- Counts what became of an OTP for the toll-fraud guard. KEYS: range. ARGV: 'sent', 'unsent' or 'verified'; the moment
-- that it counts for: when it was sent, or admitted where it never was.
local t = now()
local at = tonumber(ARGV[2])
local g = load_range(KEYS[1], t)
prune(g, t)
if at + MINUTE_MS + GUARD.windowMs > t then note(g, ARGV[1], at) end
if g.long[ARGV[1]] then g.long[ARGV[1]] = g.long[ARGV[1]] + 1 end
if ARGV[1] == 'verified' then
  local day = string.format('%.0f', math.floor(t / 86400000))
  g.days[day] = (g.days[day] or 0) + 1
end
save_range(KEYS[1], g, t)
