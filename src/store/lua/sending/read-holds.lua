--- @include "shared/clock"
--- @include "sending/app-calls"
-- Returns the apps on hold: app, since when, what the provider said, ms until an OTP may be tried. KEYS: calls by app.
local t, holds = now(), {}
for _, app in ipairs(redis.call('HKEYS', KEYS[1])) do
  local hold = load_calls(KEYS[1], app).hold
  if hold then holds[#holds + 1] = { app, hold.since, hold.text, math.max(0, hold.tryAt - t) } end
end
return holds
