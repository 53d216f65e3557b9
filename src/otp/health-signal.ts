import { accountTroubles, type SendOutcome, type UnsentReason, type VerifyOutcome } from './outcome.js';

/**
 * What an outcome says about the provider's health. `success`: it answered, whatever it said. `failure`: it could not be
 * reached or gave nothing usable. `ignored`: nothing, because our own side kept the call back.
 */
export type HealthSignal = 'success' | 'failure' | 'ignored';

/** The signal of a send. */
export function sendHealthSignal(outcome: SendOutcome): HealthSignal {
  switch (outcome.kind) {
    case 'deferred':
      return unsentSignal(outcome.reason);
    case 'unknown':
      return 'failure';
    default:
      return 'success';
  }
}

const troubles: ReadonlySet<string> = new Set(accountTroubles);

/** The signal of a verification. Account trouble is an answer: iSMS is well, the account is not. */
export function verifyHealthSignal(outcome: VerifyOutcome): HealthSignal {
  switch (outcome.kind) {
    case 'unsent':
      return unsentSignal(outcome.reason);
    case 'unavailable':
      return troubles.has(outcome.reason) ? 'success' : 'failure';
    default:
      return 'success';
  }
}

function unsentSignal(reason: UnsentReason): HealthSignal {
  return reason === 'not_connected' || reason === 'too_many_requests' ? 'failure' : 'ignored';
}
