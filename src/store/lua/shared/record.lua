--- @include "shared/clock"
--- @include "shared/events"
--- @include "limits/budget"
--- @include "shared/attempt-log"
-- Shared by every function on OTPs' records, each one JSON string. Times are milliseconds of Redis's own clock. Fields:
-- id, app, phone (hash), purpose, template, isTest, batch, credits, ttlSeconds, maxAttempts
-- status, at (its last change), createdAt, sendDeadline, startAt (start of the batch), failure
-- claims: how many so far; of the current one: token, claimedAt, attemptEndsAt
-- retries, unknowns (attempts with an unknown outcome), presumed (those only assumed after lost writes), unknownAt (when
--   the last was counted), mayHaveSent, losses (of this partition, as far as accounted for)
-- uuid, smsId, sentAt, expiresAt, sentBy (attempt); lateSuccess: ids of an older attempt that was accepted late
-- refusal (failure code), refusedAt, firstRefusedAt: unrecognised refusals
-- sendLog: attempts that were not accepted, verifyLog: those that did not verify, see `note_attempt`
-- attempts, leases (token -> end), lockAt, verifiedAt, verifiedBy (token), verifiedKey (hash): verifications
-- reserved: key of the day's budget, on a cluster the day; unsent: its credits are to be returned
-- idempotencyKey: on a single Redis; encrypted: what src/store/record.ts encrypts, not read here
--
-- Every function gets records, whose keys KEYS begins with, and returns a list. A record that fails does not affect the
-- others: its answer is {'error', why}. An answer with a `kind` is returned as JSON.

-- The current record and the keys of its partition: all keys of a phone number begin with the same hash tag.
local here
local partitions = {}

local function go_to(key)
  local prefix = string.match(key, '^.-}:')
  here = partitions[prefix]
  if not here then
    here = { prefix = prefix, due = prefix .. 'due', history = prefix .. 'history', phones = prefix .. 'phone:' }
    here.events, here.superseded = prefix .. 'events', prefix .. 'superseded:'
    partitions[prefix] = here
  end
  here.record, here.id, here.status = key, string.sub(key, #prefix + 1), nil
end

local function call_safely(one, ...)
  local ok, answer = pcall(one, ...)
  if not ok then return { 'error', type(answer) == 'table' and answer.err or tostring(answer) } end
  return type(answer) == 'table' and answer.kind and cjson.encode(answer) or answer
end

-- Exists: the current OTP was erased.
local function erased_key()
  return here.prefix .. 'erased:' .. here.id
end

-- Calls `one` at each record with its share of the arguments.
local function for_each_record(one)
  local share, answers = #ARGV / #KEYS, {}
  for i, key in ipairs(KEYS) do
    go_to(key)
    answers[i] = call_safely(one, unpack(ARGV, (i - 1) * share + 1, i * share))
  end
  return answers
end

-- Whole, encrypted part included: to cut it off first takes a sixth more time, cmsgpack a tenth less (measured).
local function decode(raw)
  local r = cjson.decode(raw)
  r.attempts, r.claims, r.retries, r.unknowns = r.attempts or 0, r.claims or 0, r.retries or 0, r.unknowns or 0
  r.at = r.at or r.createdAt
  return r
end

-- Counts that are 0 are left out: to print a number takes as long as to set a short string.
local function encode(r)
  local attempts, claims, retries, unknowns = r.attempts, r.claims, r.retries, r.unknowns
  if attempts == 0 then r.attempts = nil end
  if claims == 0 then r.claims = nil end
  if retries == 0 then r.retries = nil end
  if unknowns == 0 then r.unknowns = nil end
  local raw = cjson.encode(r)
  r.attempts, r.claims, r.retries, r.unknowns = attempts, claims, retries, unknowns
  return raw
end

-- Whether the record has all fields that functions read unchecked.
local function is_whole(r)
  return r.id == here.id and type(r.app) == 'string' and type(r.phone) == 'string' and type(r.status) == 'string'
    and type(r.encrypted) == 'string'
    and type(r.createdAt) == 'number' and type(r.sendDeadline) == 'number'
    and type(r.ttlSeconds) == 'number' and type(r.maxAttempts) == 'number'
    and (r.status ~= 'sending' or type(r.attemptEndsAt) == 'number')
    and (r.status ~= 'sent' or type(r.expiresAt) == 'number')
end

-- A hash: counts of a batch by status, in this partition, and its `cancelledAt` and `startAt`.
local function batch_key(batch)
  return here.prefix .. 'batch:' .. batch
end

-- The deadline of a line counts from the start of its batch, which may have been changed.
local function follow_start(r)
  local start = r.startAt and r.status == 'queued' and tonumber(redis.call('HGET', batch_key(r.batch), 'startAt') or nil)
  if not start or start == r.startAt then return end
  r.sendDeadline, r.startAt = r.sendDeadline + start - r.startAt, start
end

-- The current record, or nil. Fails when it is broken.
local function load()
  local raw = redis.call('GET', here.record)
  if not raw then return nil end
  local r = decode(raw)
  if not is_whole(r) then error('broken') end
  here.status = r.status
  follow_start(r)
  return r
end

local server

-- Sets `here.losses` (times this partition may have lost writes) and `here.durable` (appendfsync always, and no replica,
-- which keeps a backlog, that could take over without the write). Fails with HISTORY_CHANGED, before any write, if the
-- replication id is new: the caller records it and retries.
local function history()
  if here.losses then return here end
  if not server then
    local info = redis.call('INFO', 'replication')
    server = {
      id = string.match(info, 'master_replid:(%x+)'),
      alone = string.find(info, 'repl_backlog_active:0', 1, true) ~= nil,
    }
  end
  local id, losses, synced = unpack(redis.call('HMGET', here.history, 'id', 'losses', 'synced'))
  if id ~= server.id then error('HISTORY_CHANGED ' .. here.history) end
  here.losses, here.durable = tonumber(losses or 0), synced == '1' and server.alone
  return here
end

-- The state machine (src/otp/otp.ts) as `from>to ` pairs: building a table of it costs each call more than a search.
local TRANSITIONS = POLICY.transitions

local function may_transition(from, to)
  return string.find(TRANSITIONS, from .. '>' .. to .. ' ', 1, true) ~= nil
end

-- Redis may have lost writes that the record does not account for: a claim of it may be among them.
local function claim_may_be_lost(r)
  return (r.losses or 0) < history().losses
end

local function transition(r, status, at)
  if r.status ~= status then
    -- Needed only to return reserved credits.
    if r.reserved and status == 'cancelled' and r.status == 'queued' then
      r.unsent = not r.mayHaveSent and not claim_may_be_lost(r) or nil
    end
    if not may_transition(r.status, status) then error('an OTP cannot go from ' .. r.status .. ' to ' .. status) end
    r.status = status
    r.at = at
  end
end

-- When the sweeper must check the record again; nil: it has ended. A redelivered job checks a claimed one earlier.
local function due(r)
  if r.status == 'queued' then return r.sendDeadline end
  if r.status == 'sending' then return r.attemptEndsAt end
  if r.status == 'sent' then return math.min(r.expiresAt, r.lockAt or r.expiresAt) end
  return nil
end

-- The latest time at which the OTP ends if nothing more happens to it.
local function ends_at(r)
  if r.status == 'queued' then return r.sendDeadline end
  -- If this attempt fails, the code of an older one that was accepted late is valid.
  local late = r.lateSuccess and r.lateSuccess.claimedAt + r.ttlSeconds * 1000 or 0
  if r.status == 'sending' then return math.max(r.attemptEndsAt, r.sendDeadline, late) end
  if r.status == 'sent' then return r.expiresAt end
  -- A call may still be under way: its answer must find the OTP cancelled.
  if r.status == 'cancelled' then return math.max(r.at, r.attemptEndsAt or 0) end
  return r.at
end

-- A line of a batch: an OTP's id without `otp_`.
local function line_of(id)
  return string.sub(id, 5)
end

local function cancelled_at(r)
  local key = r.batch and batch_key(r.batch)
  return key and tonumber(redis.call('HGET', key, 'cancelledAt') or nil)
end

-- An OTP that replaces earlier ones of its app, number and purpose cancels them all by one entry: times and ids of the
-- last replacements, oldest first.
local function superseded_field(app, purpose)
  return app .. '\n' .. (purpose or '')
end

local function superseded_at(r)
  local entry = redis.call('HGET', here.superseded .. r.phone, superseded_field(r.app, r.purpose))
  if not entry then return nil end
  local first
  for time, by in string.gmatch(entry, '(%d+) (%S+)') do
    local at = tonumber(time)
    -- Those before it may have been admitted in the same millisecond.
    if by == r.id then first = nil elseif not first and r.createdAt <= at then first = at end
  end
  return first
end

-- When the clock alone ends the OTP; nil: it does not.
local function lapses_at(r)
  if r.status == 'queued' then return r.sendDeadline end
  if r.status == 'sent' then return r.expiresAt end
end

-- When the OTP was cancelled by the cancellation of its batch or by a replacement; nil: it was not.
local function withdrawn_at(r)
  if not may_transition(r.status, 'cancelled') then return nil end
  local at = r.status == 'queued' and cancelled_at(r) or superseded_at(r)
  local lapses = lapses_at(r)
  if at and (not lapses or at < lapses) then return at end
end

local function count_in_batch(batch, before, after, gone_at)
  local key = batch_key(batch)
  if before then redis.call('HINCRBY', key, before, -1) end
  -- Redis may have lost the counts and with them their expiry.
  if redis.call('HINCRBY', key, after, 1) == 1 and redis.call('PTTL', key) < 0 then
    redis.call('PEXPIREAT', key, digits(gone_at))
  end
end

-- Returns, once, the credits that an OTP reserved which ended without an SMS. On a cluster, where the budget is in
-- another slot, they are collected from here.
local function give_credits_back(r)
  local without_sms = r.status == 'failed' or (r.status == 'expired' and r.failure == 'not_sent_in_time') or r.unsent
  if not without_sms then return end
  if string.find(r.reserved, '}', 1, true) then
    unspend(r.reserved, r.credits)
    unspend(month_of(r.reserved), r.credits)
  else
    redis.call('HINCRBY', here.prefix .. 'unspent', r.app .. ' ' .. r.reserved, r.credits)
  end
  r.reserved, r.unsent = nil, nil
end

-- Longer than what is left of any month.
local RESERVED_AGAIN_MS = 40 * 86400000

-- For a record that Redis lost, and with it the credits that it reserved; on a cluster they are elsewhere.
local function reserve_again(r)
  if not r.reserved or not string.find(r.reserved, '}', 1, true) then return end
  for _, key in ipairs({ r.reserved, month_of(r.reserved) }) do
    redis.call('HINCRBY', key, 'used', r.credits)
    if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, RESERVED_AGAIN_MS) end
  end
end

local function save(r)
  if r.reserved and here.status ~= r.status then give_credits_back(r) end
  local gone_at = ends_at(r) + POLICY.retentionMs
  local raw = encode(r)
  redis.call('SET', here.record, raw, 'PXAT', digits(gone_at))
  if r.idempotencyKey then redis.call('PEXPIREAT', r.idempotencyKey, digits(gone_at)) end
  local next_due = due(r)
  if next_due and here.status == 'queued' and r.status == 'queued' then
    -- Its job may be missing: an early check by the sweeper is not postponed.
    redis.call('ZADD', here.due, 'LT', digits(next_due), r.id)
  elseif next_due then
    redis.call('ZADD', here.due, digits(next_due), r.id)
  else
    redis.call('ZREM', here.due, r.id)
  end
  if here.status ~= r.status then
    if r.batch then count_in_batch(r.batch, here.status, r.status, gone_at) end
    local failure = r.failure or ''
    emit(here.events, 'otp.' .. r.status, 'at', digits(r.at), 'id', r.id, 'app', r.app, 'failure', failure)
  end
  here.status = r.status
  return raw
end

-- Has the sweeper check a queued record soon, in case its job is missing.
local function check_soon(id, send_deadline, t)
  redis.call('ZADD', here.due, digits(math.min(t + POLICY.enqueueGraceMs, send_deadline)), id)
end

-- Whether a send that provably did not happen is retried.
local function may_retry(r)
  return r.retries <= POLICY.maxSendRetries
end

-- Whether an OTP is sent again after an attempt with an unknown outcome.
local function may_resend(r, at)
  return r.unknowns <= POLICY.maxResendsAfterUnknown and at < r.sendDeadline
end

local function become_sent(r, at, ids)
  r.uuid, r.smsId, r.sentBy = ids.uuid, ids.smsId, ids.attempt
  r.sentAt = at
  r.expiresAt = ids.claimedAt + r.ttlSeconds * 1000
  r.lateSuccess, r.failure = nil, nil
  transition(r, 'sent', at)
end

-- Uses the late success of an older attempt when the newer one fails.
local function use_late_success(r, at)
  if not r.lateSuccess then return false end
  become_sent(r, at, r.lateSuccess)
  return true
end

local function become_unknown(r, at)
  r.failure = 'outcome_unknown'
  transition(r, 'unknown', at)
end

local function become_failed(r, at, failure)
  if use_late_success(r, at) then return end
  if r.mayHaveSent then return become_unknown(r, at) end
  r.failure = failure
  transition(r, 'failed', at)
end

-- Known calls after the first one; presumed unknowns are not among them.
local function tries(r)
  return r.retries + r.unknowns - (r.presumed or 0)
end

-- A resend waits until its unknown outcome is durable, so one loss hides at most one call. A counted unknown therefore
-- covers earlier losses (ADR 35).
local function count_unknown(r, at)
  if claim_may_be_lost(r) then r.losses = history().losses end
  r.unknowns, r.unknownAt = r.unknowns + 1, now()
  r.mayHaveSent = true
  if use_late_success(r, at) then return end
  if may_resend(r, at) then transition(r, 'queued', at) else become_unknown(r, at) end
end

local function live_leases(r, t)
  local live, last = 0, 0
  for token, ends in pairs(r.leases or {}) do
    if ends > t then live = live + 1 else
      r.leases[token] = nil
      note_attempt(r, 'verifyLog', ends - POLICY.verifyLeaseMs, ends, 'unanswered')
    end
    last = math.max(last, ends)
  end
  return live, last
end

-- Locks the OTP once all attempts are spent and none is under way.
local function lock_if_exhausted(r, t)
  r.lockAt = nil
  if r.attempts < r.maxAttempts then return end
  local live, last = live_leases(r, t)
  if live > 0 then
    r.lockAt = last
  elseif last < r.expiresAt then
    transition(r, 'locked', last > 0 and last or t)
  end
end

-- Applies the changes that are due by the clock. True when there was one.
local function advance(r, t)
  local before = r.status
  local withdrawn = withdrawn_at(r)
  if withdrawn then transition(r, 'cancelled', math.max(withdrawn, r.at)) end
  if r.status == 'sending' and t >= r.attemptEndsAt then
    note_attempt(r, 'sendLog', r.claimedAt, r.attemptEndsAt, 'worker_lost')
    count_unknown(r, r.attemptEndsAt)
  end
  if r.status == 'queued' and t >= r.sendDeadline then
    if r.mayHaveSent or claim_may_be_lost(r) then
      r.mayHaveSent = true
      become_unknown(r, r.sendDeadline)
    elseif r.refusal then
      become_failed(r, r.sendDeadline, r.refusal)
    else
      r.failure = 'not_sent_in_time'
      transition(r, 'expired', r.sendDeadline)
    end
  end
  if r.status == 'sent' then lock_if_exhausted(r, t) end
  if r.status == 'sent' and t >= r.expiresAt then transition(r, 'expired', r.expiresAt) end
  return r.status ~= before
end
