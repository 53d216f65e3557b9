-- What is known of one app and one phone number, as JSON in a hash per number (field: app). `sends`: when its newest
-- OTPs were admitted; `last`: the id of the newest; `wrong`: wrong codes in a row; `verifiedAt`: the last right one.
local DAY_MS = 86400000
local WRONG_KEPT_MS, LOCK_KEPT_MS, VERIFIED_KEPT_MS = 90 * DAY_MS, 365 * DAY_MS, 7 * DAY_MS

-- What one app knows of a number, with its `key` and what `others` know, which are not stored in it.
local function load_phone(hash, app)
  local phone = { sends = {}, wrong = 0 }
  local key, others = here.phones .. hash, {}
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local known = cjson.decode(fields[i + 1])
    known.sends, known.wrong = known.sends or {}, known.wrong or 0
    if fields[i] == app then phone = known else others[#others + 1] = known end
  end
  phone.key, phone.app, phone.others = key, app, others
  return phone
end

-- For how much longer something about a number counts.
local function kept_ms(p, t)
  if p.wrong >= POLICY.wrongCodes then return LOCK_KEPT_MS end
  local kept = 0
  if #p.sends > 0 then kept = p.sends[#p.sends] + DAY_MS - t end
  if p.verifiedAt and POLICY.fraudGuard ~= 'off' then kept = math.max(kept, p.verifiedAt + VERIFIED_KEPT_MS - t) end
  return p.wrong > 0 and math.max(kept, WRONG_KEPT_MS) or kept
end

local function save_phone(p, t)
  local stored = { last = p.last, verifiedAt = p.verifiedAt }
  -- An empty list would be an empty object in JSON.
  if #p.sends > 0 then stored.sends = p.sends end
  if p.wrong > 0 then stored.wrong = p.wrong end
  redis.call('HSET', p.key, p.app, cjson.encode(stored))
  local kept = kept_ms(p, t)
  for _, other in ipairs(p.others) do kept = math.max(kept, kept_ms(other, t)) end
  redis.call('PEXPIREAT', p.key, t + kept)
end
