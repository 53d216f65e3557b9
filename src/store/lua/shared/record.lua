--- @include "shared/clock"
--- @include "shared/events"
--- @include "limits/budget"
-- Shared by every function on OTPs' records.
-- A record is one JSON string. All times are milliseconds of Redis's own clock.
-- Every function is called for a list of records, whose keys KEYS begins with, and answers a list. A record that
-- cannot be handled spoils no other: its answer is {'error', why}. An answer that has a `kind` is given as JSON.

-- The record at hand, and the keys beside it: all that belongs to one phone number begins with the same hash tag.
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

local function guarded(one, ...)
  local ok, answer = pcall(one, ...)
  if not ok then return { 'error', type(answer) == 'table' and answer.err or tostring(answer) } end
  return type(answer) == 'table' and answer.kind and cjson.encode(answer) or answer
end

-- Set: the OTP at hand was erased.
local function erased_key()
  return here.prefix .. 'erased:' .. here.id
end

-- Calls `one` at each record with its share of the arguments.
local function for_each_record(one)
  local share, answers = #ARGV / #KEYS, {}
  for i, key in ipairs(KEYS) do
    go_to(key)
    answers[i] = guarded(one, unpack(ARGV, (i - 1) * share + 1, i * share))
  end
  return answers
end

-- What is encrypted is most of a record and never looked at here, so it is kept aside: JSON of half the length is read and
-- written in half the time (measured).
local ENCRYPTED = ',"encrypted":"'

local function decode(raw)
  local place = string.find(raw, ENCRYPTED, 1, true)
  if not place then error('broken') end
  local r = cjson.decode(string.sub(raw, 1, place - 1) .. '}')
  r.encrypted = string.sub(raw, place)
  r.attempts, r.claims, r.retries, r.unknowns = r.attempts or 0, r.claims or 0, r.retries or 0, r.unknowns or 0
  r.at = r.at or r.createdAt
  return r
end

-- Counts that are 0 are left out: to print a number takes as long as to set a short string.
local function encode(r)
  local encrypted, attempts, claims, retries, unknowns = r.encrypted, r.attempts, r.claims, r.retries, r.unknowns
  r.encrypted = nil
  if attempts == 0 then r.attempts = nil end
  if claims == 0 then r.claims = nil end
  if retries == 0 then r.retries = nil end
  if unknowns == 0 then r.unknowns = nil end
  local raw = string.sub(cjson.encode(r), 1, -2) .. encrypted
  r.encrypted, r.attempts, r.claims, r.retries, r.unknowns = encrypted, attempts, claims, retries, unknowns
  return raw
end

-- Whether all is there that functions read without asking.
local function is_whole(r)
  return r.id == here.id and type(r.app) == 'string' and type(r.phone) == 'string' and type(r.status) == 'string'
    and type(r.createdAt) == 'number' and type(r.sendDeadline) == 'number'
    and type(r.ttlSeconds) == 'number' and type(r.maxAttempts) == 'number'
    and (r.status ~= 'sending' or type(r.attemptEndsAt) == 'number')
    and (r.status ~= 'sent' or type(r.expiresAt) == 'number')
end

-- Counts of a batch by status, in this partition; `cancelledAt`: since when nothing of it is sent any more; `startAt`: when
-- its first line is sent.
local function batch_key(batch)
  return here.prefix .. 'batch:' .. batch
end

-- The deadline of a line counts from the start of its batch, which may have been changed.
local function follow_start(r)
  local start = r.startAt and r.status == 'queued' and tonumber(redis.call('HGET', batch_key(r.batch), 'startAt') or nil)
  if not start or start == r.startAt then return end
  r.sendDeadline, r.startAt = r.sendDeadline + start - r.startAt, start
end

-- The record at hand, or nil. Fails when it is broken.
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

-- How often Redis may have lost its last moments in this partition, and whether it could lose this one: not when every
-- write is synced and no replica was there lately (then it keeps a backlog) that could take over without it. Another
-- replication id means another history of its data. A history that was not judged yet ends the function before it writes
-- anything: the caller has it judged, and asks again.
local function history()
  if here.losses then return here end
  if not server then
    local info = redis.call('INFO', 'replication')
    server = {
      id = string.match(info, 'master_replid:(%x+)'),
      alone = string.find(info, 'repl_backlog_active:0', 1, true) ~= nil,
    }
  end
  local seen = redis.call('HMGET', here.history, 'id', 'losses', 'synced')
  if seen[1] ~= server.id then error('HISTORY_CHANGED ' .. here.history) end
  here.losses, here.durable = tonumber(seen[2] or 0), seen[3] == '1' and server.alone
  return here
end

-- The state machine (src/otp/states.ts) as `from>to ` moves: building a table of it costs each call more than a search.
local TRANSITIONS = POLICY.transitions

local function may_transition(from, to)
  return string.find(TRANSITIONS, from .. '>' .. to .. ' ', 1, true) ~= nil
end

-- Redis lost its last moments since the record was admitted or last judged: a claim of it may have been among them.
local function claim_may_be_lost(r)
  return (r.losses or 0) < history().losses
end

local function transition(r, status, at)
  if r.status ~= status then
    -- Only credits that it reserved ask for this.
    if r.reserved and status == 'cancelled' and r.status == 'queued' then
      r.unsent = not r.mayHaveSent and not claim_may_be_lost(r) or nil
    end
    if not may_transition(r.status, status) then error('an OTP cannot go from ' .. r.status .. ' to ' .. status) end
    r.status = status
    r.at = at
  end
end

-- When the sweeper must look at the record again; nil: never, it has ended. Redelivery looks at a claimed one before.
local function due(r)
  if r.status == 'queued' then return r.sendDeadline end
  if r.status == 'sending' then return r.attemptEndsAt end
  if r.status == 'sent' then return math.min(r.expiresAt, r.lockAt or r.expiresAt) end
  return nil
end

-- When the OTP is over at the latest, should nothing more happen to it.
local function ends_at(r)
  if r.status == 'queued' then return r.sendDeadline end
  if r.status == 'sending' then return math.max(r.attemptEndsAt, r.sendDeadline) end
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

-- An OTP that replaces earlier ones of its app, number and purpose cancels them all by one entry, however many there are:
-- the times and ids of the last replacements, oldest first.
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

-- Since when the clock alone would have ended it; nil: not by the clock.
local function lapses_at(r)
  if r.status == 'queued' then return r.sendDeadline end
  if r.status == 'sent' then return r.expiresAt end
end

-- Since when nothing of it counts any more: what of its batch was not sent was cancelled, or it was replaced.
local function withdrawn_at(r)
  if not may_transition(r.status, 'cancelled') then return nil end
  local at = r.status == 'queued' and cancelled_at(r) or superseded_at(r)
  local lapses = lapses_at(r)
  if at and (not lapses or at < lapses) then return at end
end

local function count_in_batch(batch, before, after, gone_at)
  local key = batch_key(batch)
  if before then redis.call('HINCRBY', key, before, -1) end
  -- A Redis that fell back may have forgotten the counts, and with them when they go.
  if redis.call('HINCRBY', key, after, 1) == 1 and redis.call('PTTL', key) < 0 then
    redis.call('PEXPIREAT', key, digits(gone_at))
  end
end

-- Gives back, once, what an OTP that ended without an SMS reserved of its app's budgets. `reserved`: the window of the day
-- or, on a cluster, where that is in another slot, the day alone: then it is collected from here.
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
    -- Its job may be missing: what the sweeper is to look at soon is not put off.
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

-- The sweeper looks soon, in case the job of a queued record is missing.
local function check_soon(id, send_deadline, t)
  redis.call('ZADD', here.due, digits(math.min(t + POLICY.enqueueGraceMs, send_deadline)), id)
end

-- Decides whether a send that is proven not to have happened is tried again.
local function may_retry(r)
  return r.retries <= POLICY.maxSendRetries
end

-- Decides whether an OTP is sent again after an attempt with an unknown outcome.
local function may_resend(r, at)
  return r.unknowns <= POLICY.maxResendsAfterUnknown and at < r.sendDeadline
end

local function become_sent(r, at, ids)
  r.uuid, r.smsId, r.sentBy = ids.uuid, ids.smsId, ids.attempt
  r.sentAt = at
  r.expiresAt = ids.claimedAt + r.ttlSeconds * 1000
  r.spare, r.failure = nil, nil
  transition(r, 'sent', at)
end

-- An older attempt that was accepted late serves when the newer one fails.
local function serve_spare(r, at)
  if not r.spare then return false end
  become_sent(r, at, r.spare)
  return true
end

local function become_unknown(r, at)
  r.failure = 'outcome_unknown'
  transition(r, 'unknown', at)
end

local function become_failed(r, at, failure)
  if serve_spare(r, at) then return end
  if r.mayHaveSent then return become_unknown(r, at) end
  r.failure = failure
  transition(r, 'failed', at)
end

-- Calls so far on top of the first one, as far as is known: no unknown that was only presumed is among them.
local function tries(r)
  return r.retries + r.unknowns - (r.presumed or 0)
end

-- One loss hides at most one call of an OTP, since a resend waits until its unknown is sure to stay: an unknown that is
-- counted stands for what was lost before it, too.
local function count_unknown(r, at)
  if claim_may_be_lost(r) then r.losses = history().losses end
  r.unknowns, r.unknownAt = r.unknowns + 1, now()
  r.mayHaveSent = true
  if serve_spare(r, at) then return end
  if may_resend(r, at) then transition(r, 'queued', at) else become_unknown(r, at) end
end

local function live_leases(r, t)
  local live, last = 0, 0
  for token, ends in pairs(r.leases or {}) do
    if ends > t then live = live + 1 else r.leases[token] = nil end
    last = math.max(last, ends)
  end
  return live, last
end

-- With every attempt spent and none being decided any more, no code can be right: the OTP is locked.
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

-- Brings the record to where the clock alone has taken it. True when that changed it.
local function advance(r, t)
  local before = r.status
  local withdrawn = withdrawn_at(r)
  if withdrawn then transition(r, 'cancelled', math.max(withdrawn, r.at)) end
  if r.status == 'sending' and t >= r.attemptEndsAt then count_unknown(r, r.attemptEndsAt) end
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
