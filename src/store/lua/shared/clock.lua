-- Milliseconds of Redis's own clock.
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local written = {}

-- A whole number as text. Redis would print each one anew, which costs as much as a small command (measured).
local function digits(n)
  local text = written[n]
  if not text then
    text = string.format('%.0f', n)
    written[n] = text
  end
  return text
end
