--- @include "shared/clock"
--- @include "shared/events"
-- Records a balance snapshot, deletes expired ones, and returns the alarms that this one switched.
-- KEYS: history, alarms, events. ARGV: credits, expiry date or '', low (0/1), expiring (0/1), ms to keep history.
local at = now()
local snapshot = { at = at, credits = tonumber(ARGV[1]) }
if ARGV[2] ~= '' then snapshot.expiresOn = ARGV[2] end
redis.call('ZADD', KEYS[1], digits(at), cjson.encode(snapshot))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', digits(at - tonumber(ARGV[5])))
local switched = {}
for name, on in pairs({ low = ARGV[3], expiring = ARGV[4] }) do
  local was = redis.call('HGET', KEYS[2], name) or '0'
  if was ~= on then
    redis.call('HSET', KEYS[2], name, on)
    switched[#switched + 1] = name
    if on == '1' then
      emit(KEYS[3], 'balance.' .. name, 'at', digits(at), 'credits', ARGV[1], 'expiresOn', ARGV[2])
    end
  end
end
return {cjson.encode(snapshot), switched}
