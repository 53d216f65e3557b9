import { isOtpError, type OtpError } from './errors.js';

/**
 * How a call may be tried again.
 *
 * - `repeatable`: however often it arrives, it counts once: it reads, cancels, or carries an idempotency key.
 * - `verification`: the gateway answers a success again under the same key, but knows no failed attempt again: a wrong code
 *   whose answer got lost spends a second attempt when it is tried again. A right code that got lost would leave the
 *   person outside, though, so it is tried again once, and only where no answer came or Redis did not serve. Not after
 *   a time-out: the first try may still be under way, and would be judged twice.
 */
export type RetryRule = 'repeatable' | 'verification';

/** What went before the error at hand. */
export interface Tries {
  rule: RetryRule;
  /** Failed so far, the one at hand included. */
  failed: number;
  retries: number;
  /** Of an earlier try of the same call; null when this is the first. */
  before: OtpError | null;
}

const firstPauseMs = 100;
const longestPauseMs = 2_000;
const longestRetryAfterSeconds = 5;
const mostVerificationRetries = 1;

/** Refusals that pass by themselves and have changed nothing, or nothing that a repeatable call would change again. */
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

/** After these nobody knows what became of a verification. */
const lost = ['network_error', 'queue_unavailable'] as const;

/** Milliseconds until the call should be tried again, or null when it should not: the one place that decides so. */
export function retryPauseMs(error: OtpError, tries: Tries): number | null {
  if (mayBeOurs(error, tries)) return backoffMs(tries.failed);
  if (tries.failed > tries.retries || !mayRepeat(error, tries)) return null;
  const retryAfterSeconds = error.retryAfterSeconds ?? 0;
  if (retryAfterSeconds > longestRetryAfterSeconds) return null;
  return retryAfterSeconds * 1_000 + backoffMs(tries.failed);
}

/** Exponential, with full jitter: callers that failed together do not come back together. */
export function backoffMs(failed: number): number {
  return Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (failed - 1));
}

function mayRepeat(error: OtpError, { rule, failed }: Tries): boolean {
  if (rule === 'repeatable') return isOtpError(error, ...passing) || isOfProxy(error);
  return failed <= mostVerificationRetries && isOtpError(error, ...lost);
}

/**
 * Whether the try that got lost may be the one that verified the OTP: asked again under its key, the gateway says so, and
 * that spends no attempt.
 */
function mayBeOurs(error: OtpError, { rule, before }: Tries): boolean {
  return rule === 'verification' && isOtpError(error, 'already_verified') && isOtpError(before, ...lost);
}

/** A gateway that is just being replaced is answered for by the proxy in front of it. */
function isOfProxy({ code, status }: OtpError): boolean {
  return code === 'invalid_answer' && status !== null && [502, 503, 504].includes(status);
}
