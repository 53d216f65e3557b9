-- What is known of one app and one phone number, as JSON in a hash per number (field: app). `sends`: when its newest
-- OTPs were admitted; `last`: the id of the newest; `wrong`: wrong codes in a row; `verifiedAt`: the last right one.
local DAY_MS = 86400000
local WRONG_KEPT_MS, LOCK_KEPT_MS, VERIFIED_KEPT_MS = 90 * DAY_MS, 365 * DAY_MS, 7 * DAY_MS

local function load_phone(hash, app)
  local raw = redis.call('HGET', KEYS[4] .. hash, app)
  return raw and cjson.decode(raw) or { sends = {}, wrong = 0 }
end

-- For how much longer something about a number counts.
local function kept_ms(p, t)
  local kept = 0
  if #p.sends > 0 then kept = p.sends[#p.sends] + DAY_MS - t end
  if p.verifiedAt and POLICY.fraudGuard ~= 'off' then kept = math.max(kept, p.verifiedAt + VERIFIED_KEPT_MS - t) end
  if p.wrong >= POLICY.wrongCodes then return LOCK_KEPT_MS end
  return p.wrong > 0 and math.max(kept, WRONG_KEPT_MS) or kept
end

local function save_phone(hash, app, p, t)
  local key = KEYS[4] .. hash
  redis.call('HSET', key, app, cjson.encode(p))
  local kept = 0
  for _, raw in ipairs(redis.call('HVALS', key)) do kept = math.max(kept, kept_ms(cjson.decode(raw), t)) end
  redis.call('PEXPIREAT', key, string.format('%.0f', t + kept))
end
