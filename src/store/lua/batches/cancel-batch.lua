--- @include "shared/clock"
-- Cancels what of a batch has not been sent. KEYS: the batch. Returns since when, and in how many ms it is forgotten.
if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
redis.call('HSETNX', KEYS[1], 'cancelledAt', digits(now()))
return { redis.call('HGET', KEYS[1], 'cancelledAt'), redis.call('PTTL', KEYS[1]) }
