--- @include "shared/record"
-- Ends OTPs whose deadline passed and names queued ones whose job may be missing.
-- KEYS: the `due` sets of partitions. ARGV, for each: most records to look at. Returns for each: how many it looked at, the
-- queued ones, ids of unreadable ones, and as JSON app, status and failure of those that it changes.
local t = now()

-- All that a broken record can stumble over, before anything is written.
local function prepare(id)
  go_to(here.prefix .. id)
  local r = load()
  if not r then return nil end
  if r.id ~= id or type(r.idempotencyKey or '') ~= 'string' then error('broken') end
  local changed = advance(r, t)
  return r, changed, due(r), ends_at(r) + POLICY.retentionMs, encode(r)
end

return for_each_record(function(most)
  -- Another history is judged soon, wherever there is one: with time its traces go.
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
    if changed then changes[#changes + 1] = cjson.encode({ app = r.app, status = r.status, failure = r.failure }) end
    -- A line whose start was put off waits in its batch.
    if readable and r and r.status == 'queued' and (r.startAt or 0) <= t then
      -- Looked at again soon, in case the process that adds the missing job ends before; see markEnqueued.
      check_soon(id, r.sendDeadline, t)
      queued[#queued + 1] = { id, raw }
    end
  end
  return {#ids, queued, unreadable, changes}
end)
