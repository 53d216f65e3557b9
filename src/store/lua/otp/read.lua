--- @include "shared/record"
-- Reads records as the clock has them now, and writes nothing. KEYS: records. Returns for each: the record, if there is one.
local t = now()
return for_each_record(function()
  local r = load()
  if not r then return {} end
  advance(r, t)
  return {encode(r)}
end)
