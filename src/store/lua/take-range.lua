-- Lets the toll-fraud guard decide about new OTPs. KEYS: ranges. ARGV for each: a 1 for every OTP to a number that is
-- exempt, a 0 for every other one. Answers for each, OTP by OTP: for how many ms it is refused, what was decided.
local t = now()
local answers = {}
for i, key in ipairs(KEYS) do
  local g, answer = load_range(key, t), {}
  for exempt in string.gmatch(ARGV[i], '.') do
    local decided, wait = guard(g, exempt == '1', t)
    answer[#answer + 1], answer[#answer + 2] = wait, decided
  end
  save_range(key, g, t)
  answers[i] = answer
end
return answers
