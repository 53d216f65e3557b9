-- Writes down what became of one claimed send.
-- ARGV: {token, attempt, claimedAt}, outcome, the claimed record.
local t = now()
local claim = cjson.decode(ARGV[1])
local outcome = cjson.decode(ARGV[2])
local claimed = cjson.decode(ARGV[3])
local r = load(KEYS[1])
local brought_back = not r
if not r then
  -- Redis lost it, unless the OTP may have ended right after the claim and its time to be kept is over.
  if t >= claim.claimedAt + POLICY.keepMs then return {'missing'} end
  r = claimed
end
-- What a read may have shown as ended stays ended.
advance(r, t)
local ids = { uuid = outcome.uuid, smsId = outcome.smsId, attempt = claim.attempt, claimedAt = claim.claimedAt }

-- A record that was rolled back has forgotten this claim: it is taken up again, with what had been counted by then,
-- unless somebody else claimed it after this one: later by the clock, or under another history.
local current = r.status == 'sending' and r.token == claim.token
local same_history = (r.losses or 0) <= (claimed.losses or 0)
local older = r.status == 'queued'
  or (r.status == 'sending' and same_history and r.claimedAt <= claim.claimedAt)
if not current and older and claim.attempt > r.sends then
  brought_back = true
  r.unknowns, r.retries = math.max(r.unknowns, claimed.unknowns), math.max(r.retries, claimed.retries)
  r.mayHaveSent = r.mayHaveSent or claimed.mayHaveSent
  move(r, 'sending', t)
  r.sends, r.token = claim.attempt, claim.token
  r.claimedAt, r.attemptEndsAt = claim.claimedAt, claim.claimedAt + POLICY.sendLeaseMs
  current = true
end

local function settle_current()
  if outcome.kind == 'accepted' then
    become_sent(r, t, ids)
  elseif outcome.kind == 'rejected' then
    become_failed(r, t, outcome.failure)
  elseif outcome.kind == 'unknown' then
    count_unknown(r, t)
  elseif not serve_spare(r, t) then
    if outcome.spendsRetry then r.retries = r.retries + 1 end
    if may_retry(r) then move(r, 'queued', t) else become_failed(r, t, 'provider_unreachable') end
  end
end

local function keep_late_success()
  if r.status == 'unknown' or r.status == 'queued' then
    become_sent(r, t, ids)
  elseif r.status == 'sending' then
    r.spare = ids
  elseif r.status == 'sent' and ids.attempt > r.sentBy then
    become_sent(r, t, ids)
  elseif r.status == 'cancelled' and not r.uuid then
    r.uuid, r.smsId = ids.uuid, ids.smsId
  end
end

if current then
  settle_current()
elseif outcome.kind == 'accepted' then
  keep_late_success()
end
advance(r, t)
save(KEYS[1], KEYS[2], r)
if brought_back and r.status == 'queued' then
  -- Its job may have been forgotten, too: the sweeper looks soon.
  look_soon(KEYS[2], r, t)
end
return {'settled', cjson.encode(r), math.max(0, r.sendBefore - t)}
