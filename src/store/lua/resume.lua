-- Ends the pause for account trouble; an operator's own pause is kept elsewhere. KEYS: sending pause, refusals, events.
return end_pause(KEYS[1], KEYS[2], KEYS[3])
