--- @include "shared/clock"
--- @include "sending/app-calls"
-- Forgets that a number was refused, of every app. KEYS: calls by app. ARGV: hashes of the number.
for _, app in ipairs(redis.call('HKEYS', KEYS[1])) do
  local a, found = load_calls(KEYS[1], app), false
  for _, hash in ipairs(ARGV) do
    found = found or a.row[hash] ~= nil
    a.row[hash] = nil
  end
  if found then save_calls(KEYS[1], app, a) end
end
