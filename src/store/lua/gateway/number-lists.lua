-- Replaces an entry unless it was changed meanwhile. KEYS: the lists. ARGV: field, value, new field or '' to delete it,
-- new value.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[3], ARGV[4]) end
return 1
