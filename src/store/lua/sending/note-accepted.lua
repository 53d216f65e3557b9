--- @include "shared/clock"
--- @include "shared/events"
--- @include "sending/app-calls"
-- Notes calls that the provider accepted: earlier refusals in unknown words were not the account's. Ends holds that began
-- before these calls were claimed, or that a call claimed among the refused ones would have kept from beginning; answers
-- the apps. KEYS: calls by app, events. ARGV: different numbers in a row that put an app on hold; app, when its call was
-- claimed, …
local t, ended, limit = now(), {}, tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  local app, claimed_at = ARGV[i], tonumber(ARGV[i + 1])
  local a = load_calls(KEYS[1], app)
  a.acceptedAt = math.max(a.acceptedAt or 0, claimed_at)
  local left = trim_row(a.row, claimed_at)
  local untried = a.hold and a.hold.tryAt == a.hold.since + FIRST_TRY_MS
  if a.hold and (claimed_at > a.hold.since or (untried and left < limit)) then
    local text = a.hold.text
    emit(KEYS[2], 'sending.resumed', 'at', digits(t), 'trouble', 'unrecognised_refusal', 'text', text, 'app', app)
    a.hold, a.resumedAt, a.row = nil, t, {}
    ended[#ended + 1] = app
  end
  save_calls(KEYS[1], app, a)
end
return ended
