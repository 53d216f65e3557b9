import type { SendOutcome } from '../otp/outcome.js';
import { sendVerdict } from '../otp/verdict.js';

const halveAtMostEveryMs = 1_000;

/** How many sends this process may have in flight, from 1 to `most`. */
export interface AdaptiveConcurrency {
  readonly limit: number;
  note(outcome: SendOutcome): void;
}

/**
 * Halves when a send times out, at most once a second, since what hangs hangs together; grows by one whenever as many
 * sends as the limit were answered (additive increase, multiplicative decrease, as in RFC 5681). Begins at `most`.
 */
export function createAdaptiveConcurrency(most: number, now: () => number): AdaptiveConcurrency {
  let limit = most;
  let halvedAt = Number.NEGATIVE_INFINITY;
  let answered = 0;

  const halve = () => {
    if (now() - halvedAt < halveAtMostEveryMs) return;
    limit = Math.max(1, Math.floor(limit / 2));
    halvedAt = now();
    answered = 0;
  };
  const grow = () => {
    answered += 1;
    if (answered < limit) return;
    limit = Math.min(most, limit + 1);
    answered = 0;
  };

  return {
    get limit() {
      return limit;
    },
    note: (outcome) => {
      if (outcome.kind === 'unknown' && outcome.reason === 'timeout') halve();
      else if (sendVerdict(outcome) === 'well') grow();
    },
  };
}
