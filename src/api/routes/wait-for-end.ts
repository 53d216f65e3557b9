import { setTimeout as sleep } from 'node:timers/promises';
import type { Otp } from '../../otp/otp.js';
import { isPending } from '../../otp/states.js';

const firstPauseMs = 25;
const longestPauseMs = 250;

export interface Wait {
  forMs: number;
  /** Ends the wait early. */
  signal: AbortSignal;
  find(): Promise<Otp | null>;
}

/**
 * Looks again and again until nobody needs to wait for the send any more, the time is up, or the client is gone;
 * then the OTP as last seen. A look that fails is not the request's failure: the OTP was accepted before.
 */
export async function waitForEnd(otp: Otp, { forMs, signal, find }: Wait): Promise<Otp> {
  const until = performance.now() + forMs;
  let seen = otp;
  let pauseMs = firstPauseMs;
  while (isPending(seen.status) && !signal.aborted) {
    const leftMs = until - performance.now();
    if (leftMs <= 0) break;
    await sleep(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => {});
    seen = (await find().catch(() => null)) ?? seen;
    pauseMs = Math.min(pauseMs * 1.5, longestPauseMs);
  }
  return seen;
}
