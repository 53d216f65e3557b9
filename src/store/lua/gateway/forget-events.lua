-- Forgets events that were passed on. KEYS: streams. ARGV for each: a list of ids, as JSON.
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = redis.call('XDEL', key, unpack(cjson.decode(ARGV[i]))) end
return answers
