--- @include "shared/clock"
--- @include "shared/events"
-- Writes down that the toll-fraud guard blocked a range, where the function that decided it could not reach the events.
-- KEYS: events. ARGV: app and range.
emit(KEYS[1], 'range.blocked', 'at', digits(now()), 'range', ARGV[1])
return 1
