-- Records a new replication id, and a loss where the last writes may be missing.
-- KEYS: history. ARGV: 1 with appendfsync always.
local info = redis.call('INFO')
local function field(name) return string.match(info, '\n' .. name .. ':(%S+)') end
local id, run = field('master_replid'), field('run_id')
-- Only a server that was a replica before has a second replication id.
local took_over = tonumber(field('second_repl_offset') or -1) >= 0
local seen_id, seen_run, was_synced = unpack(redis.call('HMGET', KEYS[1], 'id', 'run', 'synced'))
if seen_id == id then return 'known' end
redis.call('HSET', KEYS[1], 'id', id, 'run', run, 'synced', ARGV[1])
if not seen_id then return 'first_seen' end

-- A master that has long had no replica changes its id, too, and loses nothing.
local synced = was_synced == '1' and ARGV[1] == '1'
if not took_over and (seen_run == run or synced) then return 'whole' end
redis.call('HINCRBY', KEYS[1], 'losses', 1)
return 'may_have_lost'
