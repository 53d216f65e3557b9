--- @include "shared/clock"

--- @command create
-- Creates a batch unless it is there. KEYS: the batch. ARGV: app, ms that it is kept without lines, its options by name.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local t = digits(now())
redis.call('HSET', KEYS[1], 'app', ARGV[1], 'createdAt', t, 'lastLineAt', t, unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1

--- @command merge-lines
-- Writes down ids for lines of an upload where none is yet: before they are admitted, so that a line counts once however
-- often it comes, or once they were accepted. Returns what stands there then, or nil where the batch was cancelled.
-- KEYS: the ids of these lines, one text of fixed width for each; the batch. ARGV: place of the first line here, its
-- width, an id for each line (NUL bytes for one that needs none), app, ms that the OTPs live at most, lines so far; 1
-- to answer what is there and write nothing.
local from, width, proposed = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local t = now()
local known = redis.call('HMGET', KEYS[2], 'app', 'cancelledAt', 'lines', 'startAt')
if known[2] then return nil end

local start = from * width
local held = redis.call('GETRANGE', KEYS[1], start, start + #proposed - 1)
if ARGV[7] == '1' then return held end
local none = string.rep('\0', width)
local lines = {}
for place = 1, #proposed, width do
  local before = string.sub(held, place, place + width - 1)
  lines[#lines + 1] = before ~= '' and before ~= none and before or string.sub(proposed, place, place + width - 1)
end
local merged = table.concat(lines)
if merged ~= held then redis.call('SETRANGE', KEYS[1], start, merged) end

-- As long as its OTPs: a start may be put off until a week after the upload.
local longest_life = t + tonumber(ARGV[5]) + (known[4] and POLICY.longestStartMs or 0)
redis.call('HSET', KEYS[2], 'lastLineAt', digits(t))
-- A Redis that fell back may have forgotten the batch.
if not known[1] then redis.call('HSET', KEYS[2], 'app', ARGV[4], 'createdAt', digits(t)) end
if tonumber(known[3] or 0) < tonumber(ARGV[6]) then redis.call('HSET', KEYS[2], 'lines', ARGV[6]) end
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < longest_life - t then redis.call('PEXPIREAT', key, digits(longest_life)) end
end
return merged

--- @command end-upload
-- Notes that an upload of a batch ended. KEYS: the batch.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'uploadEndedAt', digits(now())) end

--- @command cancel
-- Cancels what of a batch has not been sent. KEYS: the batch. Returns since when, and in how many ms it is forgotten.
if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
redis.call('HSETNX', KEYS[1], 'cancelledAt', digits(now()))
return { redis.call('HGET', KEYS[1], 'cancelledAt'), redis.call('PTTL', KEYS[1]) }

--- @command set-in-partition
-- Sets a field of a batch beside its counts. KEYS: the batch in each partition. ARGV for each: field, value, ms until it is
-- forgotten.
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, ARGV[3 * i - 2], ARGV[3 * i - 1])
  if redis.call('PTTL', key) < tonumber(ARGV[3 * i]) then redis.call('PEXPIRE', key, ARGV[3 * i]) end
end
return {}

--- @command count
-- KEYS: the batch in each partition. Returns for each: its lines that wait for their release, the time, and the fields of
-- its counts with their values.
local t, answers = now(), {}
for i, key in ipairs(KEYS) do
  answers[i] = { redis.call('LLEN', (string.gsub(key, ':batch:', ':waiting:', 1))), t, redis.call('HGETALL', key) }
end
return answers

--- @command edit
-- Changes for its app how a batch is released. KEYS: the batch. ARGV: app, start or nothing, then names and values of other
-- fields; an empty value deletes. Returns `changed`, the start and in how many ms the batch is forgotten, or what kept it.
local known = redis.call('HMGET', KEYS[1], 'app', 'createdAt', 'startAt', 'startedAt', 'finishedAt', 'cancelledAt')
if known[1] ~= ARGV[1] then return { 'missing' } end
if known[5] or known[6] then return { 'ended' } end
local start = tonumber(ARGV[2])
if start then
  -- One without a start begins at once.
  if known[4] or not known[3] then return { 'started' } end
  if start > tonumber(known[2]) + POLICY.longestStartMs then return { 'too_late' } end
  start = math.max(start, now())
  redis.call('HSET', KEYS[1], 'startAt', digits(start))
end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return { 'changed', start and digits(start) or '', redis.call('PTTL', KEYS[1]) }

--- @command begin
-- Notes that the first lines of a batch are released, or further ones after it had finished. KEYS: the batch. Returns when
-- it began, or nil where it must not yet; 0 for a batch that is not known.
local known = redis.call('HMGET', KEYS[1], 'app', 'startAt', 'startedAt')
if not known[1] then return '0' end
local t = now()
if not known[3] and tonumber(known[2] or 0) > t then return nil end
redis.call('HSETNX', KEYS[1], 'startedAt', digits(t))
redis.call('HDEL', KEYS[1], 'finishedAt')
return redis.call('HGET', KEYS[1], 'startedAt')

--- @command finish
-- Notes that a batch has ended. KEYS: the batch. Returns when it did; 0 for a batch that is not known.
if redis.call('HEXISTS', KEYS[1], 'app') == 0 then return '0' end
redis.call('HSETNX', KEYS[1], 'finishedAt', digits(now()))
return redis.call('HGET', KEYS[1], 'finishedAt')

--- @command tell
--- @include "shared/events"
-- Writes an event of a batch down. KEYS: the events of batches. ARGV: its type; then names and values.
emit(KEYS[1], ARGV[1], unpack(ARGV, 2))

--- @command enlist
-- Adds a batch to the list of its app. KEYS: the list. ARGV: the batch, when it was created or nothing, most batches on the
-- list, ms that they are kept.
local t = now()
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2] == '' and digits(t) or ARGV[2], ARGV[1]) == 0 then return 0 end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', digits(t - tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
