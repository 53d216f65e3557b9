import type { FailureCode } from './failure.js';

/** Account trouble: nothing can be sent by anybody until the operator or time mends it. */
export const accountTroubles = [
  'authentication_failed',
  'account_suspended',
  'ip_not_allowed',
  'insufficient_credits',
] as const;

export type AccountTrouble = (typeof accountTroubles)[number];

/** Why we kept a call back ourselves. */
const ownReasons = ['stale_claim', 'circuit_open', 'retry_budget'] as const;

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
 * What became of one send call. `accepted`: handed to the telco. `rejected`: refused for good. `deferred`:
 * proven unsent, worth another try. `blocked`: account trouble. `unknown`: an SMS may have gone out.
 */
export type SendOutcome =
  | { kind: 'accepted'; uuid: string; smsId: string }
  | { kind: 'rejected'; failure: FailureCode }
  | { kind: 'deferred'; reason: UnsentReason }
  | { kind: 'blocked'; trouble: AccountTrouble }
  | { kind: 'unknown'; reason: UnknownReason };

/** What became of one verify call. Only `correct` lets anyone in; `unsent` gives the attempt back. */
export type VerifyOutcome =
  | { kind: 'correct' }
  | { kind: 'incorrect' }
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
