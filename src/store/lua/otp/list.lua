--- @include "shared/clock"
-- The OTPs of an app, listed by the hour of their admission, first ones first. An entry is an id without `otp_` or, for a
-- run of a batch's lines that were admitted together, the batch, the first line and their number. Lists are only appended
-- to, so a place in one stays the same.
local HOUR_MS = 3600000
local MOST_HOURS = 500

-- Appends OTPs admitted at `t`, which live until `gone_at` at most: each an id without `otp_`, or a `batch` and its `line`.
local function append_to_list(prefix, otps, t, gone_at)
  local entries, run = {}, {}
  for _, otp in ipairs(otps) do
    local is_line = type(otp) == 'table'
    if is_line and otp.batch == run.batch and otp.line == run.from + run.count then
      run.count = run.count + 1
    else
      run = is_line and { batch = otp.batch, from = otp.line, count = 1 } or {}
      entries[#entries + 1] = otp
    end
    if is_line then entries[#entries] = run.batch .. ' ' .. digits(run.from) .. ' ' .. digits(run.count) end
  end
  local key = prefix .. digits(math.floor(t / HOUR_MS))
  redis.call('RPUSH', key, unpack(entries))
  -- Late enough for all others of this hour as well.
  if redis.call('PTTL', key) < gone_at - t then redis.call('PEXPIREAT', key, digits(gone_at + HOUR_MS)) end
end

--- @command append
-- KEYS: the beginning of an app's lists. ARGV: when these were admitted, ms that they live at most, the OTPs as JSON.
local t = tonumber(ARGV[1])
append_to_list(KEYS[1], cjson.decode(ARGV[3]), t, t + tonumber(ARGV[2]))
return nil

--- @command read
-- Reads backwards. KEYS: the beginning of an app's lists. ARGV: the hour to begin in, and the place before which, or '' for
-- the newest; first ms looked for, ms that a list lives, most entries. Returns an hour, the place of the first entry
-- returned, and the entries: none when `MOST_HOURS` had none, and reading goes on in the hour returned; or nil at the end.
local t = now()
-- On a cluster, the clock of another master may be ahead.
local newest = math.floor(t / HOUR_MS) + 1
local hour, before = tonumber(ARGV[1]) or newest, tonumber(ARGV[2])
if hour > newest then hour, before = newest, nil end
local oldest = math.floor(math.max(tonumber(ARGV[3]), t - tonumber(ARGV[4])) / HOUR_MS)
local most = tonumber(ARGV[5])
-- Redis serves no other client during a call, so it looks in few.
local last = math.max(oldest, hour - MOST_HOURS + 1)
while hour >= last do
  local key = KEYS[1] .. digits(hour)
  local length = redis.call('LLEN', key)
  local stop = math.min(length, before or length)
  if stop > 0 then
    local start = math.max(0, stop - most)
    return { hour, start, redis.call('LRANGE', key, start, stop - 1) }
  end
  hour, before = hour - 1, nil
end
if hour >= oldest then return { hour, 0, {} } end
return nil
