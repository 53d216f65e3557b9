-- Admits one OTP: idempotency, pauses, limits, the toll-fraud guard and the record in one step.
-- KEYS also: those whose places options.at names. ARGV: the new record without what is decided here; options, see
-- admission.ts.
local t = now()
local request = cjson.decode(ARGV[1])
local options = cjson.decode(ARGV[2])
local at = options.at

-- A client that reconnects sends its command twice, perhaps much later: this very OTP was admitted before.
local known = load(KEYS[1])
if known then
  advance(known, t)
  return {'admitted', cjson.encode(known), '[]', ''}
end

for _, place in ipairs(at.idempotency) do
  local held = redis.call('GET', KEYS[place])
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

if redis.call('HEXISTS', KEYS[at.operatorPause], 'paused') == 1 then return {'paused', 'operator'} end
local trouble = redis.call('HGET', KEYS[at.pause], 'trouble')
if trouble then return {'paused', trouble} end

if options.overloaded then return {'overloaded'} end

local h = history()
local phone = load_phone(request.phone, request.app)
if phone.wrong >= POLICY.wrongCodes then return {'phone_locked'} end
local limit = limited(phone, request, at, t)
-- What is left of an app's own limits would tell that it was not them.
if limit then return {'limited', limit.by, limit.ms, limit.own and quotas(phone, at, t) or '[]'} end

local decided = ''
if at.range then
  local g = load_range(KEYS[at.range], t)
  local exempt = phone.verifiedAt and phone.verifiedAt + VERIFIED_KEPT_MS > t
  local wait
  decided, wait = guard(g, exempt, t)
  if decided ~= '' then redis.call('SADD', KEYS[at.ranges], options.range) end
  save_range(KEYS[at.range], g, t)
  if wait > 0 then return {'blocked', wait, decided} end
end

local r = request
r.status, r.at, r.createdAt = 'queued', t, t
r.sendBefore = t + options.sendWithinMs
r.attempts, r.sends, r.retries, r.unknowns = 0, 0, 0, 0
if h.losses > 0 then r.losses = h.losses end
local longest_life = r.sendBefore + POLICY.sendLeaseMs + r.ttlSeconds * 1000 + POLICY.keepMs

if #options.fingerprints > 0 then
  r.idempotencyKey = KEYS[at.idempotency[1]]
  local reservation = cjson.encode({ recordKey = KEYS[1], fingerprint = options.fingerprints[1] })
  redis.call('SET', r.idempotencyKey, reservation, 'PXAT', string.format('%.0f', longest_life))
end
save(KEYS[1], KEYS[2], r)
count_admitted(phone, r, at, t)
save_phone(r.phone, r.app, phone, t)
-- Adding the job is a write of its own: the sweeper looks after a moment whether it arrived.
look_soon(KEYS[2], r, t)
if at.reference then
  local index = KEYS[at.reference]
  redis.call('ZADD', index, string.format('%.0f', t), r.id)
  redis.call('ZREMRANGEBYRANK', index, 0, -1 - options.referencesKept)
  if redis.call('PTTL', index) < longest_life - t then
    redis.call('PEXPIREAT', index, string.format('%.0f', longest_life))
  end
end
return {'admitted', cjson.encode(r), quotas(phone, at, t), decided}
