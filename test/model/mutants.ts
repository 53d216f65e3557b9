/** A mistake that a change of a Lua function could make. */
export interface Mutant {
  /** What the function does then. */
  does: string;
  from: string;
  to: string;
}

/** Each is one that the model must find. `from` stands in exactly one of the Lua texts that are part of a function. */
export const mutants: readonly Mutant[] = [
  {
    does: 'lets a claim with any token go on',
    from: "r.status == 'sending' and r.token == token and t < r.attemptEndsAt",
    to: "r.status == 'sending' and t < r.attemptEndsAt",
  },
  {
    does: 'takes the outcome of an old attempt for that of a newer one',
    from: "local current = r.status == 'sending' and r.token == claim.token",
    to: "local current = r.status == 'sending'",
  },
  {
    does: 'resends once more than allowed',
    from: 'return r.unknowns <= ',
    to: 'return r.unknowns - 1 <= ',
  },
  {
    does: 'resends once less than allowed',
    from: 'return r.unknowns <= ',
    to: 'return r.unknowns < ',
  },
  {
    does: 'counts no verification attempt before iSMS is asked',
    from: 'r.attempts = r.attempts + 1',
    to: '',
  },
  {
    does: 'keeps a record forever',
    from: "redis.call('SET', here.record, raw, 'PXAT', digits(gone_at))",
    to: "redis.call('SET', here.record, raw)",
  },
  {
    does: 'locks an OTP while its last attempt is being decided',
    from: 'if live > 0 then',
    to: 'if false then',
  },
  {
    does: 'charges the first call after a loss to the retry budget',
    from: 'return r.retries + r.unknowns - (r.presumed or 0)',
    to: 'return r.retries + r.unknowns',
  },
  {
    does: 'presumes no call that Redis may have forgotten',
    from: 'return (r.losses or 0) < history().losses',
    to: 'return false',
  },
  {
    does: 'resends while Redis may still forget why',
    from: 'not h.durable and wait > 0',
    to: 'false',
  },
  {
    does: 'dates an unknown at the end of its attempt, however late it is written',
    from: 'r.unknowns + 1, now()',
    to: 'r.unknowns + 1, at',
  },
  {
    does: 'lets a right code count after its time',
    from: 'if not lease or lease <= t then',
    to: 'if not lease then',
  },
  {
    does: 'lets two verifications approve',
    from: "if r.status == 'verified' then return 'already_verified' end\n  note_right_code",
    to: 'note_right_code',
  },
  {
    does: 'ignores a success that comes late',
    from: "if r.status == 'unknown' or r.status == 'queued' then",
    to: "if r.status == 'queued' then",
  },
  {
    does: 'calls an OTP failed that may have been sent',
    from: 'if r.mayHaveSent then return become_unknown(r, at) end',
    to: '',
  },
  {
    does: 'writes down an erased OTP again',
    from: " or redis.call('EXISTS', erased_key()) == 1",
    to: '',
  },
  {
    does: 'forgets what an idempotency key stands for',
    from: 'local stored = reservation and',
    to: 'local stored = false and',
  },
  {
    does: 'forgets an outcome whose claim Redis forgot',
    from: 'if not older or claim.attempt <= r.claims then return false end',
    to: 'if true then return false end',
  },
  {
    does: 'lets a queued OTP whose job may be missing wait for its deadline',
    from: "if next_due and here.status == 'queued' and r.status == 'queued' then",
    to: 'if false then',
  },
  {
    does: 'gives back an attempt that was made',
    from: "elseif outcome == 'unsent' and",
    to: "elseif outcome ~= 'incorrect' and",
  },
];
