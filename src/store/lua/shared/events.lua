-- Events that webhooks tell of are written down by the very function that makes them happen, so that none gets lost in
-- between. POLICY.events: those that are wanted, each between two spaces.
-- Limit of one stream, should no worker read it: OTPs need Redis's memory more than webhooks do.
local MOST_EVENTS = 10000

-- Names and values come in pairs.
local function emit(key, type, ...)
  if not string.find(POLICY.events, ' ' .. type .. ' ', 1, true) then return end
  redis.call('XADD', key, 'MAXLEN', '~', MOST_EVENTS, '*', 'type', type, ...)
end
