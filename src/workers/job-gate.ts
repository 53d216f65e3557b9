import type { SendOutcome } from '../otp/outcome.js';
import type { CircuitBreaker, CircuitState } from '../provider/circuit-breaker.js';
import type { AdaptiveConcurrency } from './adaptive-concurrency.js';

/** Why a worker takes no jobs. */
export type ClosedBy = 'account_trouble' | 'circuit';

/** What BullMQ's Worker offers to slow it down; `pause(true)` does not wait for the jobs in hand. */
export interface JobTaker {
  concurrency: number;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): void;
  isRunning(): boolean;
  /** Looks for jobs elsewhere, where it does not look everywhere at a time. */
  rotate?(): void;
}

/** The one place that decides whether this worker takes jobs, and how many at a time. */
export interface JobGate {
  /** True while at least one reason keeps it closed; a job that is handed out all the same goes back. */
  readonly closed: boolean;
  set(reason: ClosedBy, closed: boolean): void;
  /** Takes one job at a time beside those in hand, to find out whether account trouble is over. */
  setSerial(serial: boolean): void;
  /** Begins anew with few sends at a time. */
  restart(): void;
  /**
   * Wakes a worker that should be taking jobs and is not, since BullMQ can miss a resume that comes just as it pauses;
   * lets one that could take more look elsewhere. To be called once a second.
   */
  look(): void;
  /** Counts a job as in hand while `work` runs. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** What became of a send: the number of sends at a time follows it. */
  note(outcome: SendOutcome): void;
  /** No longer follows the circuit: the worker is about to close. */
  stop(): void;
}

/** What the jobGate is made of. */
export interface JobGateOptions {
  taker: () => JobTaker;
  circuit: Pick<CircuitBreaker, 'state' | 'onChange'>;
  concurrency: AdaptiveConcurrency;
}

/**
 * An open circuit closes the jobGate; a half-open one, or a trial, opens it for one job more than were in hand already,
 * since a hung call of before must not keep the probe from being made.
 */
export function createJobGate({ taker, circuit, concurrency }: JobGateOptions): JobGate {
  const reasons = new Set<ClosedBy>();
  let isSerial = false;
  const inHand = new Set<object>();
  let inHandBefore = new Set<object>();
  let stopped = false;

  const limit = () => {
    return isSerial || circuit.state === 'half_open' ? inHandBefore.size + 1 : concurrency.limit;
  };
  const applyConcurrency = () => {
    taker().concurrency = limit();
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
  const follow = (state: CircuitState) => {
    if (state === 'half_open') inHandBefore = new Set(inHand);
    applyConcurrency();
    set('circuit', state === 'open');
  };
  const drop = (job: object) => {
    inHand.delete(job);
    if (inHandBefore.delete(job)) applyConcurrency();
  };

  const unfollow = circuit.onChange(follow);

  return {
    get closed() {
      return reasons.size > 0;
    },
    set,
    setSerial: (serial) => {
      if (serial && !isSerial) inHandBefore = new Set(inHand);
      isSerial = serial;
      applyConcurrency();
    },
    restart: () => {
      concurrency.restart();
      applyConcurrency();
    },
    look: () => {
      if (stopped) return;
      applyConcurrency();
      if (reasons.size > 0) return;
      if (!taker().isRunning()) taker().resume();
      // What has all it may have in hand, such as the one job that probes, must not get more from elsewhere.
      if (inHand.size < taker().concurrency) taker().rotate?.();
    },
    hold: async (work) => {
      const job = {};
      inHand.add(job);
      return await work().finally(() => drop(job));
    },
    note: (outcome) => {
      concurrency.note(outcome);
      applyConcurrency();
    },
    stop: () => {
      stopped = true;
      unfollow();
    },
  };
}
