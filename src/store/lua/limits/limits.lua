--- @include "verification/phone"
-- The limits that admission obeys. Each …_wait answers in how many milliseconds one more would be admitted: 0 is now.
local TEN_MINUTES_MS = 600000

local NONE = {}

-- For items without limits of their own.
local GATEWAY_LIMITS = {
  recipientCooldownMs = POLICY.recipientCooldownMs, recipientPer10Minutes = POLICY.recipientPer10Minutes,
  recipientPerDay = POLICY.recipientPerDay, recipientPerDayAllApps = POLICY.recipientPerDayAllApps,
  appPerSecond = POLICY.appPerSecond, clientIpPer10Minutes = POLICY.clientIpPer10Minutes,
}

-- Admission times of the app's OTPs to this number. Those to a test number count in no other limit but their own.
local function times_of(p, item)
  if not item.isTest then return p.sends end
  p.tests = p.tests or {}
  return p.tests
end

local function limits_of(item)
  return item.limits or GATEWAY_LIMITS
end

-- A sliding window: `times` are when the earlier ones were admitted, oldest first.
local function window_wait(times, limit, window_ms, t)
  if limit == 0 or #times < limit then return 0 end
  return math.max(0, times[#times - limit + 1] + window_ms - t)
end

local function in_window(times, window_ms, t)
  local count, oldest = 0, nil
  for i = #times, 1, -1 do
    if times[i] + window_ms <= t then break end
    count, oldest = count + 1, times[i]
  end
  return count, oldest
end

-- True when no SMS of that OTP can have reached the phone: it starts no cooldown.
local function ended_without_sms(id, t)
  local raw = redis.call('GET', here.prefix .. id)
  if not raw then return false end
  local r = decode(raw)
  advance(r, t)
  if r.mayHaveSent or r.uuid then return false end
  return r.status == 'failed' or r.status == 'expired' or (r.status == 'cancelled' and r.claims == 0)
end

local function cooldown_wait(p, cooldown_ms, t)
  local last = p.sends[#p.sends]
  if cooldown_ms == 0 or not last then return 0 end
  local wait = last + cooldown_ms - t
  local newest = p.ids[#p.ids]
  local is_earlier = newest and newest ~= here.id
  if wait <= 0 or (is_earlier and ended_without_sms(newest, t)) then return 0 end
  return wait
end

local function phone_wait(p, item, t)
  local limits, times = limits_of(item), times_of(p, item)
  return math.max(
    cooldown_wait(p, limits.recipientCooldownMs, t),
    window_wait(times, limits.recipientPer10Minutes, TEN_MINUTES_MS, t),
    window_wait(times, limits.recipientPerDay, DAY_MS, t))
end

-- All apps together. A fixed wait, so that one app cannot infer another's traffic.
local function number_wait(number, most, t)
  if most == 0 then return 0 end
  local sum = 0
  for _, p in pairs(number.apps) do sum = sum + in_window(p.sends, DAY_MS, t) end
  return sum >= most and 3600000 or 0
end

-- A fixed window, counted in a key that expires with it.
local function counter_wait(key, limit)
  if tonumber(redis.call('GET', key) or 0) < limit then return 0 end
  return math.max(1, redis.call('PTTL', key))
end

local function count(key, window_ms)
  if redis.call('INCR', key) == 1 then redis.call('PEXPIRE', key, window_ms) end
end

-- What is left of one limit.
local function counter_quota(name, key, limit, window_ms)
  local used = tonumber(redis.call('GET', key) or 0)
  local remaining, reset_ms = math.max(0, limit - used), math.max(0, redis.call('PTTL', key))
  return { name = name, quota = limit, windowMs = window_ms, remaining = remaining, resetMs = reset_ms }
end

local function phone_quota(name, times, limit, window_ms, t)
  local used, oldest = in_window(times, window_ms, t)
  local remaining, reset_ms = math.max(0, limit - used), oldest and oldest + window_ms - t or 0
  return { name = name, quota = limit, windowMs = window_ms, remaining = remaining, resetMs = reset_ms }
end

-- The remaining quotas of the limits that are on; nil where all are off.
local function quotas(p, item, t)
  local found, limits, times = {}, limits_of(item), times_of(p, item)
  local function add(quota) found[#found + 1] = quota end
  local cooldown_ms = limits.recipientCooldownMs
  if cooldown_ms > 0 then
    local wait = cooldown_wait(p, cooldown_ms, t)
    local remaining = wait > 0 and 0 or 1
    add({ name = 'recipient-cooldown', quota = 1, windowMs = cooldown_ms, remaining = remaining, resetMs = wait })
  end
  if limits.recipientPer10Minutes > 0 then
    add(phone_quota('recipient-10min', times, limits.recipientPer10Minutes, TEN_MINUTES_MS, t))
  end
  if limits.recipientPerDay > 0 then add(phone_quota('recipient-day', times, limits.recipientPerDay, DAY_MS, t)) end
  if item.appWindow then add(counter_quota('app', KEYS[item.appWindow], limits.appPerSecond, 1000)) end
  if item.clientIp then
    add(counter_quota('client-ip', KEYS[item.clientIp], limits.clientIpPer10Minutes, TEN_MINUTES_MS))
  end
  if item.clientNetwork then
    add(counter_quota('client-ip-56', KEYS[item.clientNetwork], item.clientNetworkLimit, TEN_MINUTES_MS))
  end
  for _, window in ipairs(item.limitKeys or NONE) do
    add(counter_quota(window.name, KEYS[window.keyIndex], window.limit, window.windowMs))
  end
  return #found > 0 and found or nil
end

-- The exceeded limit with the longest wait; nil when there is none.
local function limited(p, number, item, t)
  local longest, limits = { ms = 0 }, limits_of(item)
  local function consider(by, ms, own, kind)
    if ms > longest.ms then longest = { by = by, ms = ms, own = own, kind = kind } end
  end
  consider('recipient', phone_wait(p, item, t), true)
  consider('recipient', number_wait(number, limits.recipientPerDayAllApps, t), false)
  if item.appWindow then consider('app', counter_wait(KEYS[item.appWindow], limits.appPerSecond), true) end
  if item.clientIp then
    consider('client_ip', counter_wait(KEYS[item.clientIp], limits.clientIpPer10Minutes), true)
  end
  if item.clientNetwork then
    consider('client_ip', counter_wait(KEYS[item.clientNetwork], item.clientNetworkLimit), true)
  end
  for _, window in ipairs(item.limitKeys or NONE) do
    consider('limit_key', counter_wait(KEYS[window.keyIndex], window.limit), true, window.kind)
  end
  if longest.ms > 0 then return longest end
end

-- Counts an admitted OTP. Keeps only as many times as the limits read.
local function count_admitted(p, item, t)
  local limits, times = limits_of(item), times_of(p, item)
  local kept = math.max(1, limits.recipientPer10Minutes, limits.recipientPerDay, limits.recipientPerDayAllApps)
  times[#times + 1] = t
  while #times > kept or times[1] + DAY_MS <= t do table.remove(times, 1) end
  p.ids[#p.ids + 1] = here.id
  if #p.ids > MOST_IDS then table.remove(p.ids, 1) end
  if item.appWindow then count(KEYS[item.appWindow], 1000) end
  if item.clientIp then count(KEYS[item.clientIp], TEN_MINUTES_MS) end
  if item.clientNetwork then count(KEYS[item.clientNetwork], TEN_MINUTES_MS) end
  for _, window in ipairs(item.limitKeys or NONE) do count(KEYS[window.keyIndex], window.windowMs) end
end
