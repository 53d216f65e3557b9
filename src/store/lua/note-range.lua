-- Counts what became of an OTP for the toll-fraud guard. KEYS: range. ARGV: 'sent' or 'verified', when it was admitted.
local t = now()
local created_at = tonumber(ARGV[2])
local g = load_range(KEYS[1])
prune(g, t)
if created_at + MINUTE_MS + GUARD.windowMs > t then note(g, ARGV[1], created_at) end
if ARGV[1] == 'verified' then
  local day = string.format('%.0f', math.floor(t / 86400000))
  g.days[day] = (g.days[day] or 0) + 1
end
save_range(KEYS[1], g, t)
