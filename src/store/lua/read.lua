-- The record as the clock has it now; nothing is written.
local r = load(KEYS[1])
if not r then return nil end
advance(r, now())
return cjson.encode(r)
