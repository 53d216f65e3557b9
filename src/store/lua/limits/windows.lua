--- @command take
-- Takes units of fixed windows, which expire by themselves. KEYS: windows. ARGV for each: most in a window, ms of it, how
-- many to take; a negative number gives back. Returns for each: how many were taken, how many are used, ms that it lasts.
local answers = {}
for i, key in ipairs(KEYS) do
  local limit, window_ms, wanted = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local used = tonumber(redis.call('GET', key) or 0)
  local taken = wanted > 0 and math.max(0, math.min(wanted, limit - used)) or math.max(wanted, -used)
  if taken < 0 and used + taken == 0 then
    redis.call('DEL', key)
  elseif taken ~= 0 and redis.call('INCRBY', key, taken) == taken then
    redis.call('PEXPIRE', key, window_ms)
  end
  answers[i] = { taken, used + taken, math.max(1, redis.call('PTTL', key)) }
end
return answers

--- @command take-or-wait
-- Takes a unit of a fixed window or, if none is left, a position among those that wait, in the order of asking.
-- KEYS: the window; the count of those that wait. ARGV: most in a window, ms of it. Returns the ms to wait (0: it was
-- taken), and the ms that the window lasts.
local most, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
if tonumber(redis.call('GET', KEYS[1]) or 0) < most then
  if redis.call('INCR', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], window_ms) end
  return { 0, math.max(1, redis.call('PTTL', KEYS[1])) }
end
local left = math.max(1, redis.call('PTTL', KEYS[1]))
local position = redis.call('INCR', KEYS[2])
if position == 1 then redis.call('PEXPIRE', KEYS[2], left) end
return { left + math.floor((position - 1) / most * window_ms), left }
