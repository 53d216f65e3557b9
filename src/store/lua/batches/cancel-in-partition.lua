-- Lets nothing of a batch be sent any more. KEYS: the batch in each partition. ARGV for each: since when, ms until it is
-- forgotten.
for i, key in ipairs(KEYS) do
  redis.call('HSETNX', key, 'cancelledAt', ARGV[2 * i - 1])
  if redis.call('PTTL', key) < tonumber(ARGV[2 * i]) then redis.call('PEXPIRE', key, ARGV[2 * i]) end
end
return {}
