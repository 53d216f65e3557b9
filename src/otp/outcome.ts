import type { FailureCode } from './otp.js';

/**
 * Account trouble: no OTP can be sent until the operator or time ends it. `unrecognised_refusal` concerns one app: the
 * provider refuses its OTPs one after another with an unrecognised text.
 */
export const accountTroubles = [
  'authentication_failed',
  'account_suspended',
  'ip_not_allowed',
  'insufficient_credits',
  'unrecognised_refusal',
] as const;

export type AccountTrouble = (typeof accountTroubles)[number];
const troubles: ReadonlySet<string> = new Set(accountTroubles);

/** Whether a reason is trouble of the iSMS account. */
export const isAccountTrouble = (reason: string): reason is AccountTrouble => troubles.has(reason);

/** What happened, as the end of a sentence about paused sending, and what the operator should do. */
export const troubleTexts: Record<AccountTrouble, { cause: string; advice: string }> = {
  authentication_failed: {
    cause: "iSMS rejects the gateway's login",
    advice:
      "Check ISMS_USERNAME and ISMS_PASSWORD (-1001): the user name is the sub-account's, never the email address; the password is an API key or the portal's password.",
  },
  account_suspended: {
    cause: 'iSMS has suspended the account',
    advice: 'Ask iSMS why it is suspended or expired.',
  },
  ip_not_allowed: {
    cause: "iSMS does not allow the gateway's IP address",
    advice: "Ask iSMS to add this machine's public address to the account's list.",
  },
  insufficient_credits: { cause: 'the iSMS account is out of credits', advice: 'Top it up.' },
  unrecognised_refusal: {
    cause: 'iSMS rejects the OTPs of this app for an unknown reason',
    advice: 'Ask iSMS what its words mean.',
  },
};

/** Why the gateway did not make a call. */
const ownReasons = [
  'stale_claim',
  'circuit_open',
  'retry_budget',
  // The balance does not cover this OTP.
  'insufficient_credits',
  // An unrecognised refusal; not known yet whether others are refused too.
  'refusal_undecided',
] as const;

/** Why a call provably did not reach the provider, or was rejected unprocessed. */
export type UnsentReason = 'not_connected' | 'too_many_requests' | (typeof ownReasons)[number];

/** Why the result of a call is unknown. */
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
 * Result of one send call.
 * - `accepted`: handed to the telco.
 * - `rejected`: final. `text`: set if the code may concern the account.
 * - `unrecognised`: refused with unknown words; the OTP ends with `failure` if the refusal proves final.
 * - `unsent`: provably unsent; can be retried.
 * - `account_trouble`: no OTP can be sent now.
 * - `unknown`: an SMS may have been sent.
 *
 * `text` is safe to show.
 */
export type SendOutcome =
  | { kind: 'accepted'; uuid: string; smsId: string }
  | { kind: 'rejected'; failure: FailureCode; text?: string }
  | { kind: 'unrecognised'; failure: FailureCode; text: string }
  | { kind: 'unsent'; reason: UnsentReason }
  | { kind: 'account_trouble'; trouble: AccountTrouble }
  | { kind: 'unknown'; reason: UnknownReason };

/**
 * Result of one verify call. Only `correct` verifies the OTP; `unsent` gives the attempt back. `unrecognised`: a refusal
 * in words that do not say that the code was wrong; `text` is safe to show.
 */
export type VerifyOutcome =
  | { kind: 'correct' }
  | { kind: 'incorrect' }
  | { kind: 'unrecognised'; text: string }
  | { kind: 'unsent'; reason: UnsentReason }
  | { kind: 'unavailable'; reason: UnknownReason | AccountTrouble };

/** Result of one balance call. `expiresOn`: `YYYY-MM-DD`, or null if the provider names none. */
export type BalanceOutcome =
  | { kind: 'known'; credits: number; expiresOn: string | null }
  | { kind: 'account_trouble'; trouble: AccountTrouble }
  | { kind: 'unavailable'; reason: UnsentReason | UnknownReason };

/** True if an unsent call counts as one of the OTP's retries: a call that the gateway did not make does not. */
export function spendsRetry(reason: UnsentReason): boolean {
  return !(ownReasons as readonly UnsentReason[]).includes(reason);
}

/**
 * What an outcome says about the provider's health. `success`: it answered. `failure`: it was unreachable or gave no
 * usable answer. `ignored`: the gateway did not make the call.
 */
export type HealthSignal = 'success' | 'failure' | 'ignored';

/** The signal of a send: an unknown outcome is a failure. */
export function sendHealthSignal(outcome: SendOutcome): HealthSignal {
  if (outcome.kind === 'unsent') return unsentSignal(outcome.reason);
  return outcome.kind === 'unknown' ? 'failure' : 'success';
}

/** The signal of a verification. Account trouble is a success: iSMS answered. */
export function verifyHealthSignal(outcome: VerifyOutcome): HealthSignal {
  if (outcome.kind === 'unsent') return unsentSignal(outcome.reason);
  if (outcome.kind !== 'unavailable') return 'success';
  return isAccountTrouble(outcome.reason) ? 'success' : 'failure';
}

function unsentSignal(reason: UnsentReason): HealthSignal {
  return reason === 'not_connected' || reason === 'too_many_requests' ? 'failure' : 'ignored';
}

const baseMs = 1_000;
const capMs = 60_000;

/**
 * Milliseconds to wait before the next call: exponential with full jitter, so that failed sends do not return together,
 * and never past the OTP's deadline (`remainingMs`). `tries` counts the calls before this one, from 1.
 */
export function backoffMs(tries: number, remainingMs: number): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** (tries - 1), Math.max(0, remainingMs));
  return Math.floor(Math.random() * ceiling);
}
