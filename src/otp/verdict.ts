import { accountTroubles, type SendOutcome, type UnsentReason, type VerifyOutcome } from './outcome.js';

/**
 * What an outcome says about the provider's health. `well`: it answered, whatever it said. `ill`: it could not be
 * reached or gave nothing usable. `silent`: nothing, because our own side kept the call back.
 */
export type Verdict = 'well' | 'ill' | 'silent';

/** The verdict of a send. */
export function sendVerdict(outcome: SendOutcome): Verdict {
  switch (outcome.kind) {
    case 'deferred':
      return unsentVerdict(outcome.reason);
    case 'unknown':
      return 'ill';
    default:
      return 'well';
  }
}

const troubles: ReadonlySet<string> = new Set(accountTroubles);

/** The verdict of a verification. Account trouble is an answer: iSMS is well, the account is not. */
export function verifyVerdict(outcome: VerifyOutcome): Verdict {
  switch (outcome.kind) {
    case 'unsent':
      return unsentVerdict(outcome.reason);
    case 'unavailable':
      return troubles.has(outcome.reason) ? 'well' : 'ill';
    default:
      return 'well';
  }
}

function unsentVerdict(reason: UnsentReason): Verdict {
  return reason === 'not_connected' || reason === 'too_many_requests' ? 'ill' : 'silent';
}
