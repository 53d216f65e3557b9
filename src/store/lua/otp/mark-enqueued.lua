-- Puts off when the sweeper looks at OTPs again; never brings it forward, and names none anew.
-- KEYS: what is due, by partition. ARGV for each: [when, id, when, id, …] as JSON.
for i, key in ipairs(KEYS) do redis.call('ZADD', key, 'XX', 'GT', unpack(cjson.decode(ARGV[i]))) end
return {}
