-- What the toll-fraud guard decided about a range. KEYS: range. Answers nil when nothing is known of it; else until
-- when it is slowed and blocked, and how many OTPs were refused.
local raw = redis.call('GET', KEYS[1])
if not raw then return nil end
local g = cmsgpack.unpack(raw)
return { g.slowUntil or 0, g.blockedUntil or 0, g.refused or 0 }
