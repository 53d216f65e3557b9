-- Takes a free lease, or renews one that this token holds. Returns 1 when it holds it. KEYS: lease. ARGV: token, ms.
-- One that would last longer was set before Redis's clock was set back: it is free.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
