-- Takes note of another history of Redis's data, and until when claims may have been forgotten in it.
-- KEYS: history. ARGV: 1 when Redis syncs every write to its log.
local info = redis.call('INFO')
local function field(name) return string.match(info, '\n' .. name .. ':(%S+)') end
local id, run = field('master_replid'), field('run_id')
local seen = redis.call('HMGET', KEYS[1], 'id', 'run')
if seen[1] == id then return 'known' end
redis.call('HSET', KEYS[1], 'id', id, 'run', run)
if not seen[1] then return 'first_seen' end

-- Only a server that was a replica before has a second replication id.
local took_over = tonumber(field('second_repl_offset')) >= 0
-- A master that has long had no replica changes its id, too, and loses nothing.
if not took_over and (seen[2] == run or ARGV[1] == '1') then return 'whole' end
-- What was admitted after Redis came up is whole; after a failover only "now" is sure. The uptime is in whole
-- seconds, so the moment lies up to one second later than the truth.
local up_seconds = took_over and 0 or tonumber(field('uptime_in_seconds'))
local now_seconds = tonumber(redis.call('TIME')[1])
redis.call('HSET', KEYS[1], 'lostUntil', string.format('%.0f', (now_seconds + 1 - up_seconds) * 1000))
return 'may_have_lost'
