-- Adds to the statistics of an app. KEYS: hashes of days. ARGV: for each key ms to keep it; then what to add as JSON: a
-- list of `keys` (indexes, of the same day and dimension), `steps` (one for each key), `group`, `counts`, and `most`,
-- the groups that a day may have: further ones are counted as `other`.
local function known_group(key, group, most)
  if group == '' or group == 'other' or redis.call('HEXISTS', key, '#' .. group) == 1 then return group end
  if tonumber(redis.call('HGET', key, '#') or 0) >= most then return 'other' end
  redis.call('HSET', key, '#' .. group, '')
  redis.call('HINCRBY', key, '#', 1)
  return group
end

for _, item in ipairs(cjson.decode(ARGV[#KEYS + 1])) do
  for i, index in ipairs(item.keys) do
    local key = KEYS[index]
    local field = item.steps[i] .. ':' .. known_group(key, item.group, item.most)
    local raw = redis.call('HGET', key, field)
    local sums = raw and cjson.decode(raw) or {}
    for name, count in pairs(item.counts) do sums[name] = (sums[name] or 0) + count end
    redis.call('HSET', key, field, cjson.encode(sums))
  end
end
for i, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[i]) end
return 1
