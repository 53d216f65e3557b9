--- @include "shared/clock"
--- @include "ranges/cohorts"
--- @include "ranges/range"
-- Lets the toll-fraud guard decide about new OTPs. KEYS: ranges. ARGV for each: a digit for every OTP: 1 where its number
-- is exempt, and 2 more where it is one of an upload. Returns for each, OTP by OTP: for how many ms it is refused, what
-- was decided, why it is refused.
local t = now()
local answers = {}
for i, key in ipairs(KEYS) do
  local g, answer = load_range(key, t), {}
  for digit in string.gmatch(ARGV[i], '.') do
    local otp = { exempt = digit == '1' or digit == '3', bulk = digit >= '2' }
    local decided, wait, why = guard(g, otp, t)
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = wait, decided, why
  end
  save_range(key, g, t)
  answers[i] = answer
end
return answers
