-- Counts a failed login, or none, in a window that begins with the first one.
-- KEYS: the client's count, which expires. ARGV: failures to add (0 or 1), ms of the window.
-- Returns the count and the ms until the window ends.
local count = tonumber(redis.call('GET', KEYS[1]) or 0)
if ARGV[1] == '1' then
  count = redis.call('INCR', KEYS[1])
  if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
end
return { count, redis.call('PTTL', KEYS[1]) }
