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
