--- @include "shared/clock"
-- Writes down ids for lines of an upload where none is yet: before they are admitted, so that a line counts once however
-- often it comes, or once they were accepted. Returns what stands there then, or nil where the batch was cancelled.
-- KEYS: the ids of these lines, one text of fixed width for each; the batch. ARGV: place of the first line here, its
-- width, an id for each line (NUL bytes for one that needs none), app, ms that the OTPs live at most, lines so far; 1
-- to answer what is there and write nothing.
local from, width, proposed = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local t = now()
local known = redis.call('HMGET', KEYS[2], 'app', 'cancelledAt', 'lines')
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

local longest_life = t + tonumber(ARGV[5])
if not known[1] then redis.call('HSET', KEYS[2], 'app', ARGV[4], 'createdAt', digits(t)) end
if tonumber(known[3] or 0) < tonumber(ARGV[6]) then redis.call('HSET', KEYS[2], 'lines', ARGV[6]) end
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < longest_life - t then redis.call('PEXPIREAT', key, digits(longest_life)) end
end
return merged
