import { isOtpError, OtpTimeout } from './errors.js';
import { checkedTimeoutMs } from './settings.js';
import { pause } from './time.js';
import type { Otp } from './types.js';

/** Options of `waitUntilSent`. */
export interface WaitOptions {
  /** Time-out in milliseconds. Default: 30,000. */
  timeoutMs?: number;
  /** Aborts the wait, which rejects with the signal's reason. */
  signal?: AbortSignal;
}

const defaultTimeoutMs = 30_000;
const firstPauseMs = 250;
const longestPauseMs = 2_000;
const growth = 1.5;

/** Errors that say nothing about the OTP. */
const passing = [
  'network_error',
  'timeout',
  'invalid_answer',
  'queue_unavailable',
  'internal_error',
] as const;

/** Polls until the OTP is sent or has failed. `look` gets the milliseconds that remain. */
export async function waitUntilSent(
  look: (timeoutMs: number) => Promise<Otp>,
  { timeoutMs = defaultTimeoutMs, signal }: WaitOptions,
): Promise<Otp> {
  const until = performance.now() + checkedTimeoutMs(timeoutMs);
  let seen: Otp | null = null;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * growth, longestPauseMs)) {
    const leftMs = until - performance.now();
    if (leftMs <= 0) throw new OtpTimeout(seen);
    seen = (await look(leftMs).catch(nothingSeen)) ?? seen;
    if (seen && seen.status !== 'queued' && seen.status !== 'sending') return seen;
    await pause(Math.max(0, Math.min(pauseMs, until - performance.now())), signal);
  }
}

function nothingSeen(error: unknown): null {
  if (isOtpError(error, ...passing)) return null;
  throw error;
}
