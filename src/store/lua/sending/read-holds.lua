--- @include "shared/clock"
--- @include "sending/app-calls"
-- Drops refusals of more than an hour ago, and returns the apps on hold: app, since when, what the provider said, ms until an OTP may be tried. KEYS: calls by app.
local t, holds = now(), {}
for _, app in ipairs(redis.call('HKEYS', KEYS[1])) do
  local a = load_calls(KEYS[1], app)
  local hold = a.hold
  -- Numbers of an app that sends nothing any more must not stay.
  local oldest = t
  for _, claimed_at in pairs(a.row) do oldest = math.min(oldest, claimed_at) end
  if oldest < t - ROW_KEPT_MS then
    trim_row(a.row, t - ROW_KEPT_MS)
    save_calls(KEYS[1], app, a)
  end
  if hold then holds[#holds + 1] = { app, hold.since, hold.text, math.max(0, hold.tryAt - t) } end
end
return holds
