import { sendHealthSignal } from '../otp/health-signal.js';
import type { SendOutcome } from '../otp/outcome.js';

const halveAtMostEveryMs = 1_000;
/**
 * Sends in flight until so many calls were accepted: should all 150 OTPs of an upload be refused, from any of them on, two
 * workers have less than 40 of them in flight by then.
 */
const firstLimit = 16;
const provenByAccepted = 75;
/** An account that took an SMS within this time takes the next one. */
const proofKeptMs = 60_000;

/** How many sends this process may have in flight, from 1 to `most`. */
export interface AdaptiveConcurrency {
  readonly limit: number;
  note(outcome: SendOutcome): void;
  /** Begins anew with few: sending was paused. */
  restart(): void;
}

/**
 * The lower of two limits. One begins low and, once enough calls were accepted, takes one more with each, so that trouble
 * of the account costs few calls; with more `queues` it begins with one for each, since an OTP must not wait until its
 * queue has its turn. The other halves when a send times out, at most once a second, since what hangs hangs together, and
 * takes one more whenever as many sends were answered (additive increase, multiplicative decrease, as in RFC 5681).
 */
export function createAdaptiveConcurrency(most: number, now: () => number, queues = 1): AdaptiveConcurrency {
  let accepted = 0;
  let acceptedAt = 0;
  let window = most;
  let answered = 0;
  let halvedAt = Number.NEGATIVE_INFINITY;

  const proven = () => {
    const isKept = now() - acceptedAt < proofKeptMs;
    return Math.max(firstLimit, queues) + Math.max(0, (isKept ? accepted : 0) - provenByAccepted);
  };
  const limit = () => Math.min(proven(), window);
  const halve = () => {
    if (now() - halvedAt < halveAtMostEveryMs) return;
    window = Math.max(1, Math.floor(limit() / 2));
    halvedAt = now();
    answered = 0;
  };
  const grow = () => {
    answered += 1;
    if (answered < limit()) return;
    window = Math.min(most, window + 1);
    answered = 0;
  };

  return {
    get limit() {
      return limit();
    },
    note: (outcome) => {
      if (outcome.kind === 'unknown' && outcome.reason === 'timeout') return halve();
      if (sendHealthSignal(outcome) === 'success') grow();
      if (outcome.kind !== 'accepted') return;
      if (now() - acceptedAt >= proofKeptMs) accepted = 0;
      accepted += 1;
      acceptedAt = now();
    },
    restart: () => {
      accepted = 0;
    },
  };
}
