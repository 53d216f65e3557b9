import { isOtpError, type OtpError } from './errors.js';

/**
 * How a call may be retried.
 *
 * - `repeatable`: any number of times, since it takes effect once: it reads, cancels or has an idempotency key.
 * - `verification`: once, and only after `network_error` or `queue_unavailable`. The gateway repeats a success under the
 *   same key, so a correct code whose answer was lost still succeeds; a wrong code costs a second attempt. No retry after
 *   a time-out: the first call may still be running, and the code would be checked twice.
 */
export type RetryRule = 'repeatable' | 'verification';

/** The call so far. */
export interface Tries {
  rule: RetryRule;
  /** Failed tries, this one included. */
  failed: number;
  retries: number;
  /** Error of the previous try; null for the first. */
  before: OtpError | null;
}

const firstPauseMs = 100;
const longestPauseMs = 2_000;
const longestRetryAfterSeconds = 5;
const mostVerificationRetries = 1;

/** Temporary errors. */
const passing = [
  'network_error',
  'timeout',
  'queue_unavailable',
  'overloaded',
  'sending_paused',
  'app_rate_limited',
  'too_many_uploads',
  'idempotency_in_flight',
] as const;

/** Errors that leave the result of a verification unknown. */
const lost = ['network_error', 'queue_unavailable'] as const;

/** Returns the milliseconds until the next try, or null for none. Nothing else decides on retries. */
export function retryPauseMs(error: OtpError, tries: Tries): number | null {
  if (mayBeOurs(error, tries)) return backoffMs(tries.failed);
  if (tries.failed > tries.retries || !mayRepeat(error, tries)) return null;
  const retryAfterSeconds = error.retryAfterSeconds ?? 0;
  if (retryAfterSeconds > longestRetryAfterSeconds) return null;
  return retryAfterSeconds * 1_000 + backoffMs(tries.failed);
}

/** Exponential backoff with full jitter. */
export function backoffMs(failed: number): number {
  return Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (failed - 1));
}

function mayRepeat(error: OtpError, { rule, failed }: Tries): boolean {
  if (rule === 'repeatable') return isOtpError(error, ...passing) || isOfProxy(error);
  return failed <= mostVerificationRetries && isOtpError(error, ...lost);
}

/** Whether the lost try may have verified the OTP: the gateway repeats that success under its key, at no attempt. */
function mayBeOurs(error: OtpError, { rule, before }: Tries): boolean {
  return rule === 'verification' && isOtpError(error, 'already_verified') && isOtpError(before, ...lost);
}

/** A proxy answers for a gateway that is being restarted. */
function isOfProxy({ code, status }: OtpError): boolean {
  return code === 'invalid_answer' && status !== null && [502, 503, 504].includes(status);
}
