--- @include "shared/record"
-- Ends OTPs whose deadline passed and returns queued ones whose job may be missing.
-- KEYS: the `due` sets of partitions. ARGV, for each: most records to check. Returns for each: the queued ones, ids of
-- unreadable ones, and the records of those that it ended without a known SMS.
local t = now()

-- Everything that fails for a broken record, before the first write.
local function prepare(id)
  go_to(here.prefix .. id)
  local r = load()
  if not r then return nil end
  if r.id ~= id or type(r.idempotencyKey or '') ~= 'string' then error('broken') end
  local changed = advance(r, t)
  return r, changed, due(r), ends_at(r) + POLICY.retentionMs, encode(r)
end

return for_each_record(function(most)
  -- Detect a new replication id early: its evidence expires.
  if redis.call('EXISTS', here.due, here.history) > 0 then history() end
  local ids = redis.call('ZRANGE', here.due, '-inf', digits(t), 'BYSCORE', 'LIMIT', 0, most)
  local queued, unreadable, changes = {}, {}, {}
  for _, id in ipairs(ids) do
    local readable, r, changed, next_due, _, raw = pcall(prepare, id)
    if not readable then unreadable[#unreadable + 1] = id end
    if not readable or not r then
      redis.call('ZREM', here.due, id)
    elseif changed or next_due == nil then
      save(r)
    else
      redis.call('ZADD', here.due, digits(next_due), id)
    end
    if changed and (r.failure or r.status == 'unknown') then changes[#changes + 1] = raw end
    -- A line whose start was postponed waits in its batch.
    if readable and r and r.status == 'queued' and (r.startAt or 0) <= t then
      -- In case the process that adds the missing job ends before; see markEnqueued.
      check_soon(id, r.sendDeadline, t)
      queued[#queued + 1] = { id, raw }
    end
  end
  return {queued, unreadable, changes}
end)
