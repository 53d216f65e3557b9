--- @command read
-- Reads the oldest events of each stream. KEYS: streams. ARGV for each: how many at most.
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = redis.call('XRANGE', key, '-', '+', 'COUNT', ARGV[i]) end
return answers

--- @command forget
-- Deletes events that the webhook queue has. KEYS: streams. ARGV for each: a list of ids, as JSON.
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = redis.call('XDEL', key, unpack(cjson.decode(ARGV[i]))) end
return answers
