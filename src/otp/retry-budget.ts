import { createSlidingSum } from '../lib/sliding-sum.js';

const windowMs = 10_000;
/** First calls that earn one extra call. */
const callsPerExtra = 10;
const extrasPerSecond = 1;
const floor = (windowMs / 1_000) * extrasPerSecond;

/** How many calls may be made on top of every OTP's first one. */
export interface RetryBudget {
  /** A first call was made: a tenth of a token for extra ones. */
  earn(): void;
  /** Takes a token for one extra call (a retry or a resend); false when there is none. */
  spend(): boolean;
}

/**
 * A token bucket whose tokens leak away after 10 s: in any 10 s at most a tenth of the first calls in them may be
 * made on top, plus ten (one a second), so that retries alone never starve. A quiet hour saves up nothing for a
 * storm. After Finagle's RetryBudget: https://finagle.github.io/blog/2016/02/08/retry-budgets
 */
export function createRetryBudget(now: () => number): RetryBudget {
  const firsts = createSlidingSum(windowMs, now);
  const extras = createSlidingSum(windowMs, now);
  return {
    earn: () => firsts.add(1),
    spend: () => {
      if (extras.total + 1 > firsts.total / callsPerExtra + floor) return false;
      extras.add(1);
      return true;
    },
  };
}
