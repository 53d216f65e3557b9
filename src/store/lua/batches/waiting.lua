--- @include "shared/record"

--- @command count
-- Counts the OTPs of a batch. KEYS: its counts by status, in each partition. Returns for each: lines that wait for their
-- release, OTPs queued, OTPs being sent, and the time.
local t, answers = now(), {}
for i, key in ipairs(KEYS) do
  local queued, sending = unpack(redis.call('HMGET', key, 'queued', 'sending'))
  local waiting = redis.call('LLEN', (string.gsub(key, ':batch:', ':waiting:', 1)))
  answers[i] = { waiting, tonumber(queued or 0), tonumber(sending or 0), t }
end
return answers

--- @command release
--- @include "verification/phone"
-- Takes waiting lines of a batch in a partition, in their order, for their jobs to be added. Ended ones are left out. The
-- sweeper checks each taken line soon, in case the caller ends before it has added the job.
-- KEYS: the waiting lines by partition. ARGV for each: batch, most lines to take, 1 to take only those that have ended.
-- Returns for each: how many it took, and of those that can be sent the record, and 1 where the number was verified
-- lately.
local t = now()

-- Everything that fails for a broken record, before the first write.
local function prepare(id)
  go_to(here.prefix .. id)
  local r = load()
  if not r then return nil end
  local changed = advance(r, t)
  local phone = r.status == 'queued' and load_phone(r.phone, r.app)
  local exempt = phone and phone.verifiedAt and phone.verifiedAt + VERIFIED_KEPT_MS > t
  return r, changed, exempt and 1 or 0, encode(r)
end

return for_each_record(function(batch, most, only_ended)
  local waiting = here.record
  history()
  local lines, released, kept = redis.call('LRANGE', waiting, 0, most - 1), {}, {}
  for _, line in ipairs(lines) do
    -- A broken record gets no job: the sweeper reports it at its deadline.
    local readable, r, changed, exempt, raw = pcall(prepare, 'otp_' .. line)
    if readable and r then
      if changed then save(r) end
      if r.status == 'queued' and only_ended == '1' then
        kept[#kept + 1] = line
      elseif r.status == 'queued' then
        check_soon(r.id, r.sendDeadline, t)
        released[#released + 1] = { raw, exempt }
      end
    end
  end
  if #kept > 0 then redis.call('RPUSH', waiting, unpack(kept)) end
  if #lines > 0 then redis.call('LTRIM', waiting, #lines, -1) end
  if redis.call('EXISTS', waiting) == 0 then redis.call('HDEL', here.prefix .. 'waiting', batch) end
  return { #lines - #kept, released }
end)

--- @command put-back
-- Makes OTPs of batches wait for their release again; ended ones are left out.
-- KEYS: records. ARGV for each: `first` for before the other lines of its batch, else behind them.
local t = now()
return for_each_record(function(position)
  history()
  local r = load()
  if not r or not r.batch then return {} end
  if advance(r, t) then save(r) end
  if r.status ~= 'queued' then return {} end
  local waiting = here.prefix .. 'waiting:' .. r.batch
  local lives = redis.call('PTTL', here.record)
  redis.call(position == 'first' and 'LPUSH' or 'RPUSH', waiting, line_of(r.id))
  redis.call('HSETNX', here.prefix .. 'waiting', r.batch, r.app)
  if redis.call('PTTL', waiting) < lives then redis.call('PEXPIRE', waiting, digits(lives)) end
  redis.call('ZADD', here.due, digits(r.sendDeadline), r.id)
  return {}
end)
