--- @include "shared/clock"
--- @include "shared/events"
-- Credits of an app in a day or month of BUDGET_TIME_ZONE: hashes that expire. `used`: credits of admitted OTPs, without
-- those that ended without an SMS. `notified`: the share in percent that the last event reported.
-- A budget is a table: period, limit (0: none), endsAt, app.
local NOTIFY_AT_PERCENT = 80
-- The clocks of processes differ, and credits are given back until the last OTP has ended.
local KEPT_AFTER_END_MS = 86400000

local function credits_used(key)
  return tonumber(redis.call('HGET', key, 'used') or 0)
end

local function is_over(key, budget, credits)
  return budget.limit > 0 and credits_used(key) + credits > budget.limit
end

-- The event that is due at this use, each once in a window; nil: none.
local function due_event(key, budget, used)
  if budget.limit == 0 or used * 100 < budget.limit * NOTIFY_AT_PERCENT then return nil end
  local share = used >= budget.limit and 100 or NOTIFY_AT_PERCENT
  if tonumber(redis.call('HGET', key, 'notified') or 0) >= share then return nil end
  redis.call('HSET', key, 'notified', share)
  return share == 100 and 'budget.spent' or 'budget.low'
end

local function emit_budget_event(events, event, budget, used)
  if not event then return end
  emit(events, event, 'at', digits(now()), 'app', budget.app, 'period', budget.period, 'budget', digits(budget.limit),
    'used', digits(used), 'endsAt', digits(budget.endsAt))
end

local function spend(key, budget, credits)
  local used = redis.call('HINCRBY', key, 'used', credits)
  if used == credits then redis.call('PEXPIREAT', key, digits(budget.endsAt + KEPT_AFTER_END_MS)) end
  return used
end

local function unspend(key, credits)
  if redis.call('EXISTS', key) == 1 then redis.call('HINCRBY', key, 'used', -math.min(credits, credits_used(key))) end
end

-- The window of a month, by that of one of its days.
local function month_of(day_key)
  return string.sub(day_key, 1, -4)
end

--- @command take
-- Takes the credits of OTPs of one app, in their order, where they are within its budgets. KEYS: windows of the day and
-- of the month. ARGV: the budgets, and the credits of each OTP, as JSON. Returns as JSON for each OTP the index of the
-- budget that refuses it, or 0; and the events to write, with the index of the budget and the credits used.
local budgets, answer = cjson.decode(ARGV[1]), { refusedBy = {}, events = {} }
for i, credits in ipairs(cjson.decode(ARGV[2])) do
  local over = 0
  for index, budget in ipairs(budgets) do
    if is_over(KEYS[index], budget, credits) then over = index end
  end
  for index, budget in ipairs(budgets) do
    local used = over == 0 and spend(KEYS[index], budget, credits)
      or (over == index and budget.limit or credits_used(KEYS[index]))
    local event = due_event(KEYS[index], budget, used)
    if event then table.insert(answer.events, { type = event, budget = index, used = used }) end
  end
  answer.refusedBy[i] = over
end
if #answer.events == 0 then answer.events = nil end
return cjson.encode(answer)

--- @command give-back
-- Gives credits back. KEYS: windows. ARGV for each: credits.
for i, key in ipairs(KEYS) do unspend(key, tonumber(ARGV[i])) end
return {}

--- @command collect
-- Takes the credits to return of OTPs that ended without an SMS. KEYS: `unspent` by partition. Returns each hash.
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('HGETALL', key)
  redis.call('DEL', key)
end
return answers

--- @command emit
-- Writes events where the function that found them could not reach the stream. KEYS: events. ARGV: budget as JSON, type,
-- credits used.
emit_budget_event(KEYS[1], ARGV[2], cjson.decode(ARGV[1]), tonumber(ARGV[3]))
return 1
