import type { SendOutcome } from '../otp/outcome.js';
import { sendVerdict } from '../otp/verdict.js';

const halveAtMostEveryMs = 1_000;
/**
 * Sends in flight while nothing is known of the account, and accepted sends for one more below `provenLimit`. Should all
 * 150 OTPs of an upload be refused, from any of them on, two workers have less than 40 of them in flight by then.
 */
const firstLimit = 4;
const acceptedForOneMore = 4;
const provenLimit = 40;

/** How many sends this process may have in flight, from 1 to `most`. */
export interface AdaptiveConcurrency {
  readonly limit: number;
  note(outcome: SendOutcome): void;
  /** Begins anew with few: sending was paused. */
  restart(): void;
  /** Halves, down to the first limit, what was not used lately; `used`: the most sends in flight since the last call. */
  forgetUnused(used: number): void;
}

/**
 * Begins with few sends and grows with those that are accepted, so that trouble of the account costs few calls. Halves when
 * a send times out, at most once a second, since what hangs hangs together; from then on grows by one whenever as many
 * sends as the limit were answered (additive increase, multiplicative decrease, as in RFC 5681). With more `queues` than
 * the first limit it begins with one for each, since an OTP must not wait until its queue has its turn.
 */
export function createAdaptiveConcurrency(most: number, now: () => number, queues = 1): AdaptiveConcurrency {
  const first = Math.min(most, Math.max(firstLimit, queues));
  let limit = first;
  let halvedAt = Number.NEGATIVE_INFINITY;
  let hasHalved = false;
  let answered = 0;

  const halve = () => {
    if (now() - halvedAt < halveAtMostEveryMs) return;
    limit = Math.max(1, Math.floor(limit / 2));
    halvedAt = now();
    hasHalved = true;
    answered = 0;
  };
  /** Answers that it takes for one more send in flight. */
  const answersNeeded = () => {
    if (hasHalved) return limit;
    return limit < provenLimit ? acceptedForOneMore : 1;
  };
  const grow = () => {
    answered += 1;
    if (answered < answersNeeded()) return;
    limit = Math.min(most, limit + 1);
    answered = 0;
  };

  return {
    get limit() {
      return limit;
    },
    note: (outcome) => {
      if (outcome.kind === 'unknown' && outcome.reason === 'timeout') halve();
      else if (hasHalved ? sendVerdict(outcome) === 'well' : outcome.kind === 'accepted') grow();
    },
    restart: () => {
      limit = first;
      hasHalved = false;
      answered = 0;
    },
    forgetUnused: (used) => {
      if (used * 2 < limit) limit = Math.max(Math.min(first, limit), Math.floor(limit / 2));
      // What hung is over.
      if (used === 0 && limit <= first) hasHalved = false;
    },
  };
}
