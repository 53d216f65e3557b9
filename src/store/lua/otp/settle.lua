--- @include "shared/record"
-- Records the outcomes of claimed sends.
-- KEYS: records. ARGV, for each: {token, attempt, claimedAt}, outcome, and the claimed record or '' to be asked for it.
-- Returns for each as JSON: `missing`, `needs_record`, or `settled` with the OTP's state, retries and resends so far, ms
-- to its send deadline, and whether this changed the status.
local t = now()

-- Restores a claim that a rolled-back record lost, with its counts, unless another worker claimed the OTP after it: later
-- by the clock, or under another history.
local function restore_claim(r, claim, claimed)
  local same_history = (r.losses or 0) <= (claimed.losses or 0)
  local older = r.status == 'queued'
    or (r.status == 'sending' and same_history and r.claimedAt <= claim.claimedAt)
  if not older or claim.attempt <= r.claims then return false end
  if claimed.unknowns > r.unknowns then r.unknowns, r.presumed = claimed.unknowns, claimed.presumed end
  r.retries = math.max(r.retries, claimed.retries)
  r.mayHaveSent = r.mayHaveSent or claimed.mayHaveSent
  transition(r, 'sending', t)
  r.claims, r.token = claim.attempt, claim.token
  r.claimedAt, r.attemptEndsAt = claim.claimedAt, claim.claimedAt + POLICY.sendLeaseMs
  return true
end

-- The presumed unknown stands for this very claim, whose own unknown is counted instead.
local function replace_presumed(r, claimed)
  if (r.presumed or 0) == 0 or (r.losses or 0) <= (claimed.losses or 0) then return end
  r.unknowns, r.presumed = r.unknowns - 1, r.presumed - 1
end

local function settle_current(r, outcome, ids)
  if outcome.kind ~= 'accepted' then
    local why = outcome.reason or outcome.failure or outcome.trouble
    note_attempt(r, 'sendLog', ids.claimedAt, t, why)
  end
  if outcome.kind == 'accepted' then
    become_sent(r, t, ids)
  elseif outcome.kind == 'rejected' then
    become_failed(r, t, outcome.failure)
  elseif outcome.kind == 'unknown' then
    r.refusal, r.refusedAt, r.firstRefusedAt = nil, nil, nil
    count_unknown(r, t)
  elseif not use_late_success(r, t) then
    if outcome.spendsRetry then r.retries = r.retries + 1 end
    if outcome.kind == 'unrecognised' then
      r.refusal, r.refusedAt = outcome.failure, ids.claimedAt
      r.firstRefusedAt = r.firstRefusedAt or ids.claimedAt
    end
    if may_retry(r) then transition(r, 'queued', t) else become_failed(r, t, 'provider_unreachable') end
  end
end

local function keep_late_success(r, ids)
  if r.status == 'unknown' or r.status == 'queued' then
    become_sent(r, t, ids)
  elseif r.status == 'sending' then
    if not r.lateSuccess or ids.attempt > r.lateSuccess.attempt then r.lateSuccess = ids end
  elseif r.status == 'sent' and ids.attempt > r.sentBy then
    become_sent(r, t, ids)
  elseif r.status == 'cancelled' and not r.uuid then
    r.uuid, r.smsId = ids.uuid, ids.smsId
  end
end

return for_each_record(function(raw_claim, raw_outcome, raw_claimed)
  local claim, outcome = cjson.decode(raw_claim), cjson.decode(raw_outcome)
  local readable, r = pcall(load)
  if not readable then r = nil end
  local brought_back, before = not r, r and r.status
  if not r then
    -- Redis lost or broke it, unless its retention may be over, as if it ended right after the claim, or it was erased.
    local retained = t < claim.claimedAt + POLICY.retentionMs
    if not retained or redis.call('EXISTS', erased_key()) == 1 then return { kind = 'missing' } end
    if raw_claimed == '' then return { kind = 'needs_record' } end
    -- Claims after this one may be lost with it. The record's own count of losses may be of a history that is lost, too.
    local losses = history().losses
    r = decode(raw_claimed)
    r.losses = math.min(r.losses or 0, losses - 1)
    if readable then reserve_again(r) end
  end
  -- An end that a read may have shown is not undone.
  advance(r, t)
  local current = r.status == 'sending' and r.token == claim.token
  if not current and raw_claimed == '' then return { kind = 'needs_record' } end
  local claimed = not current and decode(raw_claimed)
  if claimed and restore_claim(r, claim, claimed) then
    current, brought_back = true, true
    if outcome.kind == 'unknown' then replace_presumed(r, claimed) end
  end
  local ids = { uuid = outcome.uuid, smsId = outcome.smsId, attempt = claim.attempt, claimedAt = claim.claimedAt }
  if current then
    settle_current(r, outcome, ids)
  elseif outcome.kind == 'accepted' then
    keep_late_success(r, ids)
  end
  advance(r, t)
  save(r)
  -- Its job may be lost, too.
  if brought_back and r.status == 'queued' then check_soon(r.id, r.sendDeadline, t) end
  local otp = {
    status = r.status, failure = r.failure, uuid = r.uuid, smsId = r.smsId, sentAt = r.sentAt, expiresAt = r.expiresAt,
  }
  local left = math.max(0, r.sendDeadline - t)
  return { kind = 'settled', otp = otp, tries = tries(r), sendDeadlineInMs = left, changed = r.status ~= before }
end)
