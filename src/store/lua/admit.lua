-- Admits one OTP: idempotency, pauses and the record in one step.
-- KEYS also: sending pause, operator's pause, idempotency keys (the one to write first), reference index.
-- ARGV: the new record without what is decided here; options, see otps.ts.
local t = now()
local request = cjson.decode(ARGV[1])
local options = cjson.decode(ARGV[2])

-- A client that reconnects sends its command twice, perhaps much later: this very OTP was admitted before.
local known = load(KEYS[1])
if known then
  advance(known, t)
  return {'admitted', cjson.encode(known)}
end

for i = 6, 5 + #options.fingerprints do
  local held = redis.call('GET', KEYS[i])
  if held then
    local reservation = cjson.decode(held)
    local r = load(reservation.recordKey)
    if r then
      for _, fingerprint in ipairs(options.fingerprints) do
        if fingerprint == reservation.fingerprint then
          advance(r, t)
          return {'replayed', cjson.encode(r)}
        end
      end
      return {'key_reused'}
    end
  end
end

if redis.call('HEXISTS', KEYS[5], 'paused') == 1 then return {'paused', 'operator'} end
local trouble = redis.call('HGET', KEYS[4], 'trouble')
if trouble then return {'paused', trouble} end

local r = request
r.status, r.at, r.createdAt = 'queued', t, t
r.sendBefore = t + options.sendWithinMs
r.attempts, r.sends, r.retries, r.unknowns = 0, 0, 0, 0
local longest_life = r.sendBefore + POLICY.sendLeaseMs + r.ttlSeconds * 1000 + POLICY.keepMs

if #options.fingerprints > 0 then
  r.idempotencyKey = KEYS[6]
  local reservation = cjson.encode({ recordKey = KEYS[1], fingerprint = options.fingerprints[1] })
  redis.call('SET', KEYS[6], reservation, 'PXAT', string.format('%.0f', longest_life))
end
save(KEYS[1], KEYS[2], r)
-- Whatever is forgotten later is forgotten with or after this.
if redis.call('EXISTS', KEYS[3]) == 0 then
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  redis.call('HSET', KEYS[3], 'id', history_id(), 'run', run)
end
-- Adding the job is a write of its own: the sweeper looks after a moment whether it arrived.
redis.call('ZADD', KEYS[2], string.format('%.0f', math.min(t + POLICY.enqueueGraceMs, r.sendBefore)), r.id)
if options.referencesKept > 0 then
  local index = KEYS[#KEYS]
  redis.call('ZADD', index, string.format('%.0f', t), r.id)
  redis.call('ZREMRANGEBYRANK', index, 0, -1 - options.referencesKept)
  if redis.call('PTTL', index) < longest_life - t then
    redis.call('PEXPIREAT', index, string.format('%.0f', longest_life))
  end
end
return {'admitted', cjson.encode(r)}
