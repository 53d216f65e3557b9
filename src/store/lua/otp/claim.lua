--- @include "shared/record"
-- Claims OTPs for sending: at most one caller at a time may call iSMS for an OTP.
-- KEYS: records. ARGV, for each: attempt token; '' to peek. Returns for each: `free` to a peek, `unreadable`, `missing`,
-- or, with the record, `claimed`, `in_flight`, `ended`; then of `in_flight` the ms to wait, of `ended` 1 if this call
-- ended it.
local t = now()
return for_each_record(function(token)
  local readable, r = pcall(load)
  if not readable then
    -- No function can end it: the sweeper must not check it again.
    redis.call('ZREM', here.due, here.id)
    return {'unreadable'}
  end
  if not r then return {'missing'} end

  -- A client that reconnects sends its command twice: the same attempt goes on.
  if r.status == 'sending' and r.token == token and t < r.attemptEndsAt then return {'claimed', encode(r)} end

  local h = history()
  local changed = advance(r, t)
  if r.status == 'queued' and claim_may_be_lost(r) then
    r.presumed = (r.presumed or 0) + 1
    note_attempt(r, 'sendLog', r.at, t, 'redis_lost_writes')
    count_unknown(r, t)
    changed = true
  end
  -- A resend waits until its unknown outcome is durable: lost together, they would count as one.
  local wait = (r.unknownAt or 0) + POLICY.lossWindowMs - t
  if r.status == 'queued' and not h.durable and wait > 0 then
    return {'in_flight', changed and save(r) or encode(r), wait}
  end
  if r.status == 'queued' and token == '' then
    if changed then save(r) end
    return {'free'}
  end
  if r.status == 'queued' then
    transition(r, 'sending', t)
    r.claims = r.claims + 1
    r.token, r.claimedAt, r.attemptEndsAt = token, t, t + POLICY.sendLeaseMs
    return {'claimed', save(r)}
  end
  local raw = changed and save(r) or encode(r)
  if r.status == 'sending' then return {'in_flight', raw, r.attemptEndsAt - t} end
  return {'ended', raw, changed and 1 or 0}
end)
