-- What is known of one app and one phone number, as JSON in a hash per number (field: app). `sends`: when its newest
-- OTPs were admitted; `last`: the id of the newest; `wrong`: wrong codes in a row; `verifiedAt`: the last right one.
local DAY_MS = 86400000
local WRONG_KEPT_MS, LOCK_KEPT_MS, VERIFIED_KEPT_MS = 90 * DAY_MS, 365 * DAY_MS, 7 * DAY_MS

local function load_phone(hash, app)
  local raw = redis.call('HGET', KEYS[4] .. hash, app)
  return raw and cjson.decode(raw) or { sends = {}, wrong = 0 }
end

local function save_phone(hash, app, p, t)
  local key = KEYS[4] .. hash
  redis.call('HSET', key, app, cjson.encode(p))
  local kept_ms = 0
  if #p.sends > 0 then kept_ms = p.sends[#p.sends] + DAY_MS - t end
  if p.verifiedAt and POLICY.fraudGuard > 0 then
    kept_ms = math.max(kept_ms, p.verifiedAt + VERIFIED_KEPT_MS - t)
  end
  if p.wrong > 0 then kept_ms = math.max(kept_ms, WRONG_KEPT_MS) end
  if p.wrong >= POLICY.wrongCodes then kept_ms = LOCK_KEPT_MS end
  -- Other apps' fields may need it longer.
  if redis.call('PTTL', key) < kept_ms then
    redis.call('PEXPIREAT', key, string.format('%.0f', t + kept_ms))
  end
end
