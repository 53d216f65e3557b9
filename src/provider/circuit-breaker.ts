import { createSlidingSum } from '../lib/sliding-sum.js';
import type { HealthSignal } from '../otp/outcome.js';

const windowMs = 10_000;
/** Half of fewer calls than these is not enough to open the circuit. */
const callsToJudge = 20;
const failuresInARow = 5;
const shortestOpenMs = 5_000;
const longestOpenMs = 30_000;

/** `open`: no call is made. `half_open`: one at a time, to probe whether the provider works again. */
export type CircuitState = 'closed' | 'open' | 'half_open';

/** A monotonic clock in milliseconds, and work to run after a delay. */
export interface Clock {
  now(): number;
  later(ms: number, work: () => void): void;
}

/** Permission for one call. */
export interface CircuitPermit {
  /** True for the one call that a half-open circuit lets through. */
  readonly probe: boolean;
  /** Reports how the call went. Only the first report counts. */
  settle(signal: HealthSignal): void;
}

/** Whether calls of one kind are made, as one process sees it. */
export type CircuitBreaker = ReturnType<typeof createCircuitBreaker>;

/**
 * Opens when at least half of 20 or more calls within 10 s failed, or 5 in a row. After 5 s one probe closes it, or opens
 * it for twice as long, up to 30 s. Outcomes of calls that began before the last change of state are ignored.
 */
export function createCircuitBreaker(clock: Clock) {
  const listeners = new Set<(state: CircuitState) => void>();
  let state: CircuitState = 'closed';
  let period = 0;
  let openMs = shortestOpenMs;
  let probing = false;
  let record = createCallRecord(clock.now);

  const become = (next: CircuitState) => {
    state = next;
    period += 1;
    probing = false;
    for (const listener of [...listeners]) listener(next);
  };
  const open = (ms: number) => {
    openMs = ms;
    clock.later(ms, () => become('half_open'));
    become('open');
  };
  const close = () => {
    record = createCallRecord(clock.now);
    become('closed');
  };
  const settleProbe = (signal: HealthSignal) => {
    probing = false;
    if (signal === 'success') close();
    if (signal === 'failure') open(Math.min(2 * openMs, longestOpenMs));
  };

  return {
    get state() {
      return state;
    },
    /** Null: the circuit is open, or half-open with its probe under way. */
    enter: () => {
      if (state === 'open' || probing) return null;
      const probe = state === 'half_open';
      probing = probe;
      const began = period;
      let settled = false;
      const settle = (signal: HealthSignal) => {
        if (settled || began !== period) return;
        settled = true;
        if (probe) return settleProbe(signal);
        record.add(signal);
        if (record.isFailing) open(shortestOpenMs);
      };
      return { probe, settle };
    },
    /** Calls `listener` synchronously on every change; returns the function that unsubscribes. */
    onChange: (listener: (state: CircuitState) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The calls of a closed circuit. */
function createCallRecord(now: () => number) {
  const calls = createSlidingSum(windowMs, now);
  const failures = createSlidingSum(windowMs, now);
  let inARow = 0;
  return {
    add: (signal: HealthSignal) => {
      if (signal === 'ignored') return;
      inARow = signal === 'failure' ? inARow + 1 : 0;
      calls.add(1);
      failures.add(signal === 'failure' ? 1 : 0);
    },
    get isFailing() {
      const halfFailed = calls.total >= callsToJudge && failures.total * 2 >= calls.total;
      return inARow >= failuresInARow || halfFailed;
    },
  };
}
