-- Emits webhook events from the function that causes them, so that none is lost in between. POLICY.events: the wanted
-- types, each between two spaces. Limit of a stream that no worker reads: OTPs need Redis's memory more than webhooks do.
local MOST_EVENTS = 10000

-- Names and values come in pairs.
local function emit(key, type, ...)
  if not string.find(POLICY.events, ' ' .. type .. ' ', 1, true) then return end
  redis.call('XADD', key, 'MAXLEN', '~', MOST_EVENTS, '*', 'type', type, ...)
end
