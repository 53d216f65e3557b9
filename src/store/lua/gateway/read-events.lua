-- The oldest events of each stream. KEYS: streams. ARGV for each: how many at most.
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = redis.call('XRANGE', key, '-', '+', 'COUNT', ARGV[i]) end
return answers
