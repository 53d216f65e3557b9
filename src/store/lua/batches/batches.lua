--- @include "shared/clock"

--- @command create
-- Creates a batch unless it exists. KEYS: the batch. ARGV: app, ms to keep it without lines, names and values of options.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local t = digits(now())
redis.call('HSET', KEYS[1], 'app', ARGV[1], 'createdAt', t, 'lastLineAt', t, unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1

--- @command merge-lines
-- Sets ids of lines of an upload that have none yet: before they are admitted, so that a line counts once however often
-- it is uploaded, or after they were accepted. Returns the ids of these lines, or nil for a cancelled batch.
-- KEYS: the ids of a chunk's lines, one text of fixed width for each; the batch. ARGV: index of the first line in the
-- chunk, width, an id for each line (NUL bytes for one that needs none), app, ms that the OTPs live at most, lines so
-- far; 1 to write nothing.
local from, width, proposed = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local t = now()
local app, cancelled_at, line_count, start_at =
  unpack(redis.call('HMGET', KEYS[2], 'app', 'cancelledAt', 'lines', 'startAt'))
if cancelled_at then return nil end

local start = from * width
local stored = redis.call('GETRANGE', KEYS[1], start, start + #proposed - 1)
if ARGV[7] == '1' then return stored end
local none = string.rep('\0', width)
local lines = {}
for i = 1, #proposed, width do
  local before = string.sub(stored, i, i + width - 1)
  lines[#lines + 1] = before ~= '' and before ~= none and before or string.sub(proposed, i, i + width - 1)
end
local merged = table.concat(lines)
if merged ~= stored then redis.call('SETRANGE', KEYS[1], start, merged) end

-- As long as its OTPs: a start may be put off until a week after the upload.
local longest_life = t + tonumber(ARGV[5]) + (start_at and POLICY.longestStartMs or 0)
redis.call('HSET', KEYS[2], 'lastLineAt', digits(t))
-- Missing if Redis lost its last writes.
if not app then redis.call('HSET', KEYS[2], 'app', ARGV[4], 'createdAt', digits(t)) end
if tonumber(line_count or 0) < tonumber(ARGV[6]) then redis.call('HSET', KEYS[2], 'lines', ARGV[6]) end
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < longest_life - t then redis.call('PEXPIREAT', key, digits(longest_life)) end
end
return merged

--- @command end-upload
-- Notes that an upload of a batch ended. KEYS: the batch.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'uploadEndedAt', digits(now())) end

--- @command cancel
-- Cancels the unsent OTPs of a batch. KEYS: the batch. Returns `cancelledAt`, and the ms until the batch expires.
if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
redis.call('HSETNX', KEYS[1], 'cancelledAt', digits(now()))
return { redis.call('HGET', KEYS[1], 'cancelledAt'), redis.call('PTTL', KEYS[1]) }

--- @command set-in-partition
-- Sets a field of a batch beside its counts. KEYS: the batch in each partition. ARGV for each: field, value, ms to keep.
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, ARGV[3 * i - 2], ARGV[3 * i - 1])
  if redis.call('PTTL', key) < tonumber(ARGV[3 * i]) then redis.call('PEXPIRE', key, ARGV[3 * i]) end
end
return {}

--- @command count
-- KEYS: the batch in each partition. Returns for each: its waiting lines, the time, names and values of its counts.
local t, answers = now(), {}
for i, key in ipairs(KEYS) do
  answers[i] = { redis.call('LLEN', (string.gsub(key, ':batch:', ':waiting:', 1))), t, redis.call('HGETALL', key) }
end
return answers

--- @command update
-- Updates a batch of an app. KEYS: the batch. ARGV: app, start or '', then names and values of other fields; '' deletes.
-- Returns `changed`, the start and the ms until the batch expires; or `missing`, `ended`, `started`, `too_late`.
local app, created_at, start_at, started_at, finished_at, cancelled_at =
  unpack(redis.call('HMGET', KEYS[1], 'app', 'createdAt', 'startAt', 'startedAt', 'finishedAt', 'cancelledAt'))
if app ~= ARGV[1] then return { 'missing' } end
if finished_at or cancelled_at then return { 'ended' } end
local start = tonumber(ARGV[2])
if start then
  -- One without a start begins at once.
  if started_at or not start_at then return { 'started' } end
  if start > tonumber(created_at) + POLICY.longestStartMs then return { 'too_late' } end
  start = math.max(start, now())
  redis.call('HSET', KEYS[1], 'startAt', digits(start))
end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return { 'changed', start and digits(start) or '', redis.call('PTTL', KEYS[1]) }

--- @command mark-started
-- Marks a batch as started: its first lines are released, or further ones after it had finished. KEYS: the batch. Returns
-- `startedAt`, nil before its start or after its cancellation, or 0 for an unknown batch.
local app, start_at, started_at, cancelled_at = unpack(
  redis.call('HMGET', KEYS[1], 'app', 'startAt', 'startedAt', 'cancelledAt')
)
if not app then return '0' end
local t = now()
if cancelled_at then return nil end
if not started_at and tonumber(start_at or 0) > t then return nil end
redis.call('HSETNX', KEYS[1], 'startedAt', digits(t))
redis.call('HDEL', KEYS[1], 'finishedAt')
return redis.call('HGET', KEYS[1], 'startedAt')

--- @command mark-finished
-- Marks a batch as finished. KEYS: the batch. Returns `finishedAt`, or 0 for an unknown batch.
if redis.call('HEXISTS', KEYS[1], 'app') == 0 then return '0' end
redis.call('HSETNX', KEYS[1], 'finishedAt', digits(now()))
return redis.call('HGET', KEYS[1], 'finishedAt')

--- @command emit
--- @include "shared/events"
-- Writes an event of a batch. KEYS: the events of batches. ARGV: its type; then names and values.
emit(KEYS[1], ARGV[1], unpack(ARGV, 2))

--- @command add-to-app-list
-- Adds a batch to the list of its app. KEYS: the list. ARGV: the batch, its creation time or '', most batches, ms to
-- keep.
local t = now()
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2] == '' and digits(t) or ARGV[2], ARGV[1]) == 0 then return 0 end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', digits(t - tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
