-- Takes a free lease, or renews one that this token holds. Returns 1 when it holds it. KEYS: lease. ARGV: token, ms.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
