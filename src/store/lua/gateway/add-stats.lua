-- Adds to the statistics of a slot of a day. KEYS: the day. ARGV: prefix of the slot's fields, counts to add and values
-- to keep the largest of as JSON objects, ms to keep.
for name, count in pairs(cjson.decode(ARGV[2])) do redis.call('HINCRBY', KEYS[1], ARGV[1] .. name, count) end
for name, value in pairs(cjson.decode(ARGV[3])) do
  local most = tonumber(redis.call('HGET', KEYS[1], ARGV[1] .. name) or 0)
  redis.call('HSET', KEYS[1], ARGV[1] .. name, math.max(most, value))
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
