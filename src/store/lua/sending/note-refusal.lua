--- @include "shared/clock"
--- @include "shared/events"
--- @include "sending/app-calls"
-- Notes refusals in unknown words, of one app in a row. Returns 1 where this put the app on hold, and 1 while it is.
-- KEYS: calls by app, events. ARGV: app, the words, different numbers in a row that put it on hold; when each of the calls
-- was claimed and the hash of its number.
local app, text, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local t, a = now(), load_calls(KEYS[1], app)
local began = false
a.refusedAt = t
if a.hold then
  a.hold.text = text
else
  for i = 4, #ARGV, 2 do a.row[ARGV[i + 1]] = tonumber(ARGV[i]) end
  -- An accepted call ends the row; a call claimed before the last hold ended was refused because of that.
  local from = math.max(a.acceptedAt or 0, (a.resumedAt or -1) + 1, t - ROW_KEPT_MS)
  began = trim_row(a.row, from) >= limit
end
if began then
  a.hold = { since = t, text = text, tryAt = t + FIRST_TRY_MS }
  emit(KEYS[2], 'sending.paused', 'at', digits(t), 'trouble', 'unrecognised_refusal', 'text', text, 'app', app)
end
save_calls(KEYS[1], app, a)
return {began and 1 or 0, a.hold and 1 or 0}
