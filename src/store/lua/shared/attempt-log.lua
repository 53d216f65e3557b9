-- What a record tells operators about its attempts beyond its other fields: nothing for an OTP that is sent and verified at
-- once.
local MOST_NOTED = 20

-- Notes an attempt for operators in a log of the record: [began, ended, outcome, times]. Equal ones in a row are one entry.
local function note_attempt(r, log, began, ended, outcome)
  local noted = r[log] or {}
  local last = noted[#noted]
  if last and last[3] == outcome then
    last[2], last[4] = ended, (last[4] or 1) + 1
  else
    if #noted == MOST_NOTED then table.remove(noted, 1) end
    noted[#noted + 1] = { began, ended, outcome }
  end
  r[log] = noted
end
