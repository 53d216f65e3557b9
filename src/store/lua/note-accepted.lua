-- Notes that the provider accepted a call: refusals of earlier calls were not the account's. Ends a pause that began
-- before the call was claimed; answers 1 when it did. KEYS: sending pause, refusals, events. ARGV: when it was claimed.
local claimed_at = tonumber(ARGV[1])
local known = redis.call('HMGET', KEYS[1], 'acceptedAt', 'trouble', 'trying', 'since')
if claimed_at > tonumber(known[1] or 0) then redis.call('HSET', KEYS[1], 'acceptedAt', digits(claimed_at)) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. digits(claimed_at))
if not (known[2] or known[3]) or claimed_at <= tonumber(known[4]) then return 0 end
return end_pause(KEYS[1], KEYS[2], KEYS[3])
