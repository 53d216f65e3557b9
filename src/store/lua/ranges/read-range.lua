-- What the toll-fraud guard decided about a range. KEYS: range. Returns nil when nothing is known of it; else until when
-- it is slowed, blocked and capped, how many OTPs were refused, and how many would have been while it only watched.
local raw = redis.call('GET', KEYS[1])
if not raw then return nil end
local g = cmsgpack.unpack(raw)
return { g.slowUntil or 0, g.blockedUntil or 0, g.cappedUntil or 0, g.refused or 0, g.wouldRefuse or 0 }
