--- @include "shared/clock"
-- Keeps an OTP findable by its reference, with the newest others that carry it.
local REFERENCES_KEPT = 100

local function keep_reference(index, id, longest_life, t)
  redis.call('ZADD', index, digits(t), id)
  redis.call('ZREMRANGEBYRANK', index, 0, -1 - REFERENCES_KEPT)
  if redis.call('PTTL', index) < longest_life - t then redis.call('PEXPIREAT', index, digits(longest_life)) end
end

--- @command keep
-- KEYS: the reference. ARGV: id of an OTP that carries it, ms that this lives at most.
local t = now()
keep_reference(KEYS[1], ARGV[1], t + tonumber(ARGV[2]), t)
return nil
