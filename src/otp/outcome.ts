import type { FailureCode } from './otp.js';

/**
 * Account trouble: no OTP can be sent until the operator or time ends it. `unrecognised_refusal` concerns one app: the
 * provider refuses its numbers one after the other in words that are not in the table of replies.
 */
export const accountTroubles = [
  'authentication_failed',
  'account_suspended',
  'ip_not_allowed',
  'insufficient_credits',
  'unrecognised_refusal',
] as const;

export type AccountTrouble = (typeof accountTroubles)[number];

/** Why we kept a call back ourselves. */
const ownReasons = [
  'stale_claim',
  'circuit_open',
  'retry_budget',
  // The balance cannot pay this OTP.
  'insufficient_credits',
  // It was refused in unknown words, and whether others are refused, too, is not known yet.
  'refusal_held',
] as const;

/** Why a call is proven not to have reached the provider, or to have been turned away unprocessed. */
export type UnsentReason = 'not_connected' | 'too_many_requests' | (typeof ownReasons)[number];

/** Why nobody can know what the provider did with a call. */
export type UnknownReason =
  | 'timeout'
  | 'connection_lost'
  | 'server_error'
  | 'redirect'
  | 'reply_too_large'
  | 'reply_empty'
  | 'reply_not_json'
  | 'reply_wrong_shape'
  | 'worker_lost';

/**
 * What became of one send call. `accepted`: handed to the telco. `rejected`: refused for good; with `text`, by a code that
 * may mean the account. `unrecognised`: refused in words that do not say whether it is this OTP or the account; `failure` is
 * what it ends with if it is the OTP. `text` is safe to show. `deferred`: proven unsent, worth another try. `blocked`: account trouble. `unknown`: an SMS may have
 * gone out.
 */
export type SendOutcome =
  | { kind: 'accepted'; uuid: string; smsId: string }
  | { kind: 'rejected'; failure: FailureCode; text?: string }
  | { kind: 'unrecognised'; failure: FailureCode; text: string }
  | { kind: 'deferred'; reason: UnsentReason }
  | { kind: 'blocked'; trouble: AccountTrouble }
  | { kind: 'unknown'; reason: UnknownReason };

/**
 * What became of one verify call. Only `correct` lets anyone in; `unsent` gives the attempt back. `unrecognised`: a
 * refusal in words that do not say that the code was wrong; `text` is safe to show.
 */
export type VerifyOutcome =
  | { kind: 'correct' }
  | { kind: 'incorrect' }
  | { kind: 'unrecognised'; text: string }
  | { kind: 'unsent'; reason: UnsentReason }
  | { kind: 'unavailable'; reason: UnknownReason | AccountTrouble };

/** What became of one balance call. `expiresOn` is a date `YYYY-MM-DD`, null when the provider names none. */
export type BalanceOutcome =
  | { kind: 'known'; credits: number; expiresOn: string | null }
  | { kind: 'blocked'; trouble: AccountTrouble }
  | { kind: 'unavailable'; reason: UnsentReason | UnknownReason };

/** Whether a deferred call spends one of the OTP's retries: waiting that is our own doing spends none. */
export function spendsRetry(reason: UnsentReason): boolean {
  return !(ownReasons as readonly UnsentReason[]).includes(reason);
}

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

const baseMs = 1_000;
const capMs = 60_000;

/**
 * Milliseconds to wait before the next call: exponential with full jitter, so that a crowd of failed sends does
 * not come back as a crowd, and never past the OTP's own deadline (`remainingMs`), so that the last retry still
 * has a chance. `tries` counts the calls before this one, from 1.
 */
export function backoffMs(tries: number, remainingMs: number): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** (tries - 1), Math.max(0, remainingMs));
  return Math.floor(Math.random() * ceiling);
}
