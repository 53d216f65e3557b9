--- @include "shared/record"
--- @include "verification/phone"
--- @include "limits/limits"
--- @include "ranges/cohorts"
--- @include "ranges/range"
--- @include "otp/reference"
--- @include "otp/list"
-- Admits OTPs: idempotency, pauses, limits, the toll-fraud guard, job and record in one step. On a Redis Cluster, where
-- one call reaches one slot, only what belongs to the numbers of one partition: what the call and its items do not name
-- is left out, and done before (see admission-on-cluster.ts) or afterwards; with `peek`, nothing is written.
-- KEYS: records; then the keys whose indexes the call and its items name. ARGV: the call as JSON, see
-- admission-candidate.ts; for each item its record, a JSON object without the fields set here; then arguments of jobs.
-- Returns for each the result as JSON, or only `createdAt` where there is neither a decision nor quotas.
local t = now()
local call = cjson.decode(ARGV[1])

-- What pauses sending now, by the operator or for account trouble.
local function pause()
  if not call.pause then return nil end
  for _, index in ipairs(call.operatorPauses) do
    if redis.call('HEXISTS', KEYS[index], 'paused') == 1 then return 'operator' end
  end
  return redis.call('HGET', KEYS[call.pause], 'trouble')
end

local on_hold = {}

-- Whether the app's OTPs wait for one that the provider accepts; see app-calls.lua.
local function is_on_hold(app)
  if not call.appCalls then return false end
  if on_hold[app] == nil then
    local raw = redis.call('HGET', KEYS[call.appCalls], app)
    local hold = raw and cjson.decode(raw).hold
    on_hold[app] = hold ~= nil and hold ~= false and t < hold.tryAt
  end
  return on_hold[app]
end

local paused_apps = {}

-- Whether an operator paused the app.
local function is_paused(app)
  if not call.appPauses then return false end
  if paused_apps[app] == nil then paused_apps[app] = redis.call('HEXISTS', KEYS[call.appPauses], app) == 1 end
  return paused_apps[app]
end

-- The answer for an idempotency key that has an OTP; nil: it has none, or none that is still kept.
local function find_replay(item)
  for _, index in ipairs(item.idempotency) do
    local raw = redis.call('GET', KEYS[index])
    local reservation = raw and cjson.decode(raw)
    local stored = reservation and redis.call('GET', reservation.recordKey)
    if stored then
      for _, fingerprint in ipairs(item.fingerprints) do
        if fingerprint == reservation.fingerprint then
          go_to(reservation.recordKey)
          local r = decode(stored)
          advance(r, t)
          return { kind = 'replayed', record = encode(r) }
        end
      end
      return { kind = 'key_reused' }
    end
  end
end

-- Numbers verified lately are exempt from the guard.
local function is_exempt(phone)
  return phone.verifiedAt ~= nil and phone.verifiedAt + VERIFIED_KEPT_MS > t
end

-- The guard's refusal or nil, and its decision about the range. Lines of a batch are checked when they are released: only
-- a blocked range refuses them here.
local function check_range(item, phone)
  if not item.range then return nil, '' end
  local g = load_range(KEYS[item.range], t)
  if item.batch then
    local wait = is_exempt(phone) and 0 or blocked_wait(g, t)
    return wait > 0 and { kind = 'range_blocked', waitMs = wait, decision = '', reason = 'blocked' } or nil, ''
  end
  local decision, wait, why = guard(g, { exempt = is_exempt(phone) }, t)
  if decision ~= '' then redis.call('SADD', KEYS[call.ranges], item.rangeName) end
  if decision == 'blocked' then
    emit(KEYS[call.rangeEvents], 'range.blocked', 'at', digits(t), 'range', item.rangeName)
  end
  save_range(KEYS[item.range], g, t)
  return wait > 0 and { kind = 'range_blocked', waitMs = wait, decision = decision, reason = why } or nil, decision
end

local function reserve(item, longest_life)
  local reservation = cjson.encode({ recordKey = here.record, fingerprint = item.fingerprints[1] })
  redis.call('SET', KEYS[item.idempotency[1]], reservation, 'PXAT', digits(longest_life))
end

-- The last of an item's budgets, the longest, that its credits are not within.
local function exceeded(budgets, credits)
  local over
  for _, budget in ipairs(budgets) do
    if is_over(KEYS[budget.keyIndex], budget, credits) then over = budget end
  end
  local event = over and due_event(KEYS[over.keyIndex], over, over.limit)
  emit_budget_event(KEYS[call.budgetEvents], event, over, over and over.limit)
  return over
end

local function take_credits(budgets, credits)
  for _, budget in ipairs(budgets) do
    local used = spend(KEYS[budget.keyIndex], budget, credits)
    emit_budget_event(KEYS[call.budgetEvents], due_event(KEYS[budget.keyIndex], budget, used), budget, used)
  end
end

-- In the step that admits the OTP, so that its record is never without the job; before it, since adding may fail.
local function enqueue(job)
  local keys = {}
  for i, index in ipairs(job.keys) do keys[i] = KEYS[index] end
  add_job(keys, { unpack(ARGV, job.from, job.to) })
end

-- For how long a batch that has not started may be put off further: until a week after its upload.
local function postponed_ms(item)
  return item.startAt and POLICY.longestStartMs or 0
end

local function write_record(item, text, losses)
  local send_deadline = math.max(t, item.startAt or 0) + item.sendDeadlineMs
  local redis_fields = ',"status":"queued","createdAt":' .. digits(t) .. ',"sendDeadline":' .. digits(send_deadline)
  if losses > 0 then redis_fields = redis_fields .. ',"losses":' .. digits(losses) end
  local raw = string.sub(text, 1, -2) .. redis_fields .. '}'
  redis.call('SET', here.record, raw, 'PXAT', digits(send_deadline + POLICY.retentionMs + postponed_ms(item)))
  if item.batch or item.job then
    -- It has its job, or gets one when its batch releases it.
    redis.call('ZADD', here.due, digits(send_deadline), here.id)
  else
    -- Adding the job is a write of its own: the sweeper looks after a moment whether it arrived.
    check_soon(here.id, send_deadline, t)
  end
  return send_deadline
end

-- No earlier OTP lives that long: its batch starts within a week, it is sent within a day of that, and verified within
-- ten minutes.
local SUPERSEDED_KEPT_MS = 9 * DAY_MS
-- An OTP shows the first replacement after it, which a later one must not move.
local MOST_REPLACEMENTS = 10

local function supersede_earlier(item, t)
  local key, field = here.superseded .. item.phone, superseded_field(item.app, item.supersedes)
  local replacements = {}
  for each in string.gmatch(redis.call('HGET', key, field) or '', '%d+ %S+') do
    replacements[#replacements + 1] = each
  end
  if #replacements == MOST_REPLACEMENTS then table.remove(replacements, 1) end
  replacements[#replacements + 1] = digits(t) .. ' ' .. here.id
  redis.call('HSET', key, field, table.concat(replacements, ' '))
  redis.call('PEXPIREAT', key, digits(t + SUPERSEDED_KEPT_MS))
end

-- New OTPs by partition and batch, written together at the end.
local batched = {}

local function note_batch(item, longest_life)
  local key = batch_key(item.batch)
  local new = batched[key]
  if not new then
    new = { item = item, prefix = here.prefix, lines = {}, longest_life = 0 }
    batched[key] = new
  end
  new.lines[#new.lines + 1] = line_of(here.id)
  new.longest_life = math.max(new.longest_life, longest_life)
end

local function write_batches()
  for key, new in pairs(batched) do
    local waiting = new.prefix .. 'waiting:' .. new.item.batch
    redis.call('HINCRBY', key, 'queued', #new.lines)
    if new.item.startAt then redis.call('HSETNX', key, 'startAt', digits(new.item.startAt)) end
    redis.call('RPUSH', waiting, unpack(new.lines))
    redis.call('HSETNX', new.prefix .. 'waiting', new.item.batch, new.item.app)
    for _, each in ipairs({ key, waiting }) do
      if redis.call('PTTL', each) < new.longest_life - t then
        redis.call('PEXPIREAT', each, digits(new.longest_life))
      end
    end
  end
end

-- New OTPs by app, written together at the end.
local listed = {}

local function note_listed(item, longest_life)
  local new = listed[item.list] or { otps = {}, longest_life = 0 }
  listed[item.list] = new
  new.longest_life = math.max(new.longest_life, longest_life)
  new.otps[#new.otps + 1] = item.line and item or line_of(here.id)
end

local function admit(item, text)
  -- A client that reconnects sends its command twice, perhaps much later: this very OTP was admitted before.
  local known = load()
  if known then
    advance(known, t)
    return { kind = 'replayed', record = encode(known) }
  end
  local replay = item.idempotency and find_replay(item)
  if replay then return replay end
  if call.paused then return { kind = 'paused', reason = call.paused } end
  if is_paused(item.app) then return { kind = 'app_paused' } end
  if is_on_hold(item.app) then return { kind = 'paused', reason = 'unrecognised_refusal' } end
  if item.refused then return { kind = 'refused' } end

  local h = history()
  local phone, number = load_phone(item.phone, item.app)
  if is_locked(phone) then return { kind = 'recipient_locked' } end
  local limit = limited(phone, number, item, t)
  -- What is left of an app's own limits would tell that it was not them.
  if limit then
    local left = limit.own and quotas(phone, item, t) or nil
    return { kind = 'limited', by = limit.by, keyKind = limit.kind, retryAfterMs = limit.ms, quotas = left }
  end
  if call.peek then return { kind = 'free', exempt = is_exempt(phone) } end
  local over = item.budgets and exceeded(item.budgets, item.credits)
  if over then return { kind = 'over_budget', period = over.period } end
  local refusal, decision = check_range(item, phone)
  if refusal then return refusal end

  if item.job then enqueue(item.job) end
  local send_deadline = write_record(item, text, h.losses)
  local longest_life = send_deadline + POLICY.sendLeaseMs + item.ttlMs + POLICY.retentionMs + postponed_ms(item)
  if item.idempotency then reserve(item, longest_life) end
  count_admitted(phone, item, t)
  if item.budgets then take_credits(item.budgets, item.credits) end
  save_phone(number, t)
  if item.reference then keep_reference(KEYS[item.reference], here.id, longest_life, t) end
  if item.supersedes then supersede_earlier(item, t) end
  if item.batch then note_batch(item, longest_life) end
  if item.list then note_listed(item, longest_life) end
  if decision == '' and not item.quotas then return t end
  return { kind = 'admitted', createdAt = t, decision = decision, quotas = item.quotas and quotas(phone, item, t) or nil }
end

call.paused = pause() or nil
local answers = {}
for i, item in ipairs(call.items) do
  go_to(KEYS[i])
  answers[i] = call_safely(admit, item, ARGV[i + 1])
end
write_batches()
for index, new in pairs(listed) do append_to_list(KEYS[index], new.otps, t, new.longest_life) end
return answers
