import { type SendOutcome, sendHealthSignal } from '../otp/outcome.js';
import type { CircuitBreaker } from '../provider/circuit-breaker.js';

/** Why a worker takes no jobs. */
type ClosedBy = 'account_trouble' | 'circuit';

/** The part of BullMQ's Worker that limits it; `pause(true)` does not wait for the jobs in hand. */
export interface JobTaker {
  concurrency: number;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): void;
  isRunning(): boolean;
  /** Serves other shards, if it does not serve all at a time. */
  rotate?(): void;
}

/** Decides whether this worker takes jobs, and how many at a time. */
export type JobGate = ReturnType<typeof createJobGate>;

/**
 * An open circuit closes the gate. A half-open one, or a trial, allows one job beside those already in hand, so that a
 * hung call does not prevent the probe.
 */
export function createJobGate(options: {
  taker: () => JobTaker;
  circuit: Pick<CircuitBreaker, 'state' | 'onChange'>;
  concurrency: AdaptiveConcurrency;
}) {
  const { taker, circuit, concurrency } = options;
  const reasons = new Set<ClosedBy>();
  let isSerial = false;
  const inHand = new Set<object>();
  let inHandBefore = new Set<object>();
  let stopped = false;

  const applyConcurrency = () => {
    const isProbing = isSerial || circuit.state === 'half_open';
    taker().concurrency = isProbing ? inHandBefore.size + 1 : concurrency.limit;
  };
  const set = (reason: ClosedBy, closed: boolean) => {
    const before = reasons.size > 0;
    if (closed) reasons.add(reason);
    else reasons.delete(reason);
    const after = reasons.size > 0;
    if (after === before) return;
    if (after) void taker().pause(true);
    else taker().resume();
  };
  const unfollow = circuit.onChange((state) => {
    if (state === 'half_open') inHandBefore = new Set(inHand);
    applyConcurrency();
    set('circuit', state === 'open');
  });

  return {
    /** True while a reason keeps it closed. A job that BullMQ hands out all the same goes back. */
    get closed() {
      return reasons.size > 0;
    },
    set,
    /** Takes one job at a time beside those in hand, to test whether account trouble is over. */
    setSerial: (serial: boolean) => {
      if (serial && !isSerial) inHandBefore = new Set(inHand);
      isSerial = serial;
      applyConcurrency();
    },
    /** Starts with few sends at a time again. */
    restart: () => {
      concurrency.restart();
      applyConcurrency();
    },
    /**
     * To be called once a second: wakes a worker that takes no jobs though it should (BullMQ can miss a resume during a
     * pause), and rotates one that could take more.
     */
    check: () => {
      if (stopped) return;
      applyConcurrency();
      if (reasons.size > 0) return;
      if (!taker().isRunning()) taker().resume();
      // A worker with all the jobs it may have, such as the one probe, must not get more from another shard.
      if (inHand.size < taker().concurrency) taker().rotate?.();
    },
    /** Counts a job as in hand while `work` runs. */
    trackJob: async <T>(work: () => Promise<T>) => {
      const job = {};
      inHand.add(job);
      return await work().finally(() => {
        inHand.delete(job);
        if (inHandBefore.delete(job)) applyConcurrency();
      });
    },
    /** Adapts the number of sends at a time to the outcome of a send. */
    note: (outcome: SendOutcome) => {
      concurrency.note(outcome);
      applyConcurrency();
    },
    /** Stops following the circuit, before the worker closes. */
    stop: () => {
      stopped = true;
      unfollow();
    },
  };
}

const halveAtMostEveryMs = 1_000;
/**
 * Sends in flight until 75 calls were accepted: if iSMS refuses every OTP of an upload from some line on, two workers
 * have fewer than 40 of them in flight.
 */
const firstLimit = 16;
const provenByAccepted = 75;
/** An account that accepted an SMS within this time accepts the next one. */
const proofKeptMs = 60_000;

/** The number of sends that this process may have in flight, from 1 to `most`. */
export type AdaptiveConcurrency = ReturnType<typeof createAdaptiveConcurrency>;

/**
 * The lower of two limits. One starts low, at least at one for each of `queues`, and grows with each accepted call once
 * enough were accepted, so that account trouble costs few calls. The other halves when a send times out, at most once a
 * second since sends hang together, and grows by one after as many answers (additive increase, multiplicative decrease,
 * as in RFC 5681).
 */
export function createAdaptiveConcurrency(most: number, now: () => number, queues = 1) {
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
    note: (outcome: SendOutcome) => {
      if (outcome.kind === 'unknown' && outcome.reason === 'timeout') return halve();
      if (sendHealthSignal(outcome) === 'success') grow();
      if (outcome.kind !== 'accepted') return;
      if (now() - acceptedAt >= proofKeptMs) accepted = 0;
      accepted += 1;
      acceptedAt = now();
    },
    /** Starts with few again, after a pause. */
    restart: () => {
      accepted = 0;
    },
  };
}
