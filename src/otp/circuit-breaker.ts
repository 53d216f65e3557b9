import { createSlidingSum, type SlidingSum } from '../lib/sliding-sum.js';
import type { HealthSignal } from './health-signal.js';

const windowMs = 10_000;
/** Half of fewer calls than these says nothing. */
const callsToJudge = 20;
const illInARow = 5;
const shortestOpenMs = 5_000;
const longestOpenMs = 30_000;

/** `open`: no call is made. `half_open`: one at a time, to see whether the provider is well again. */
export type CircuitState = 'closed' | 'open' | 'half_open';

/** Milliseconds of a clock that never goes back, and work to be done after some of them. */
export interface Clock {
  now(): number;
  later(ms: number, work: () => void): void;
}

/** Leave for one call. */
export interface Permit {
  /** True for the one call that a half-open circuit lets through. */
  readonly probe: boolean;
  /** Says how the call went; must be called once, further ones are ignored. */
  settle(signal: HealthSignal): void;
}

/** Whether calls of one kind are made, as one process sees it. */
export interface CircuitBreaker {
  readonly state: CircuitState;
  /** Null: the circuit is open, or half-open with its probe under way, and no call may be made. */
  enter(): Permit | null;
  /** `listener` hears of every change right when it happens; returns what ends that. */
  onChange(listener: (state: CircuitState) => void): () => void;
}

/**
 * Keeps calls from a provider that is ill. It opens when half or more of at least 20 calls within 10 s, or 5 in a
 * row, went ill; is open for 5 s; then one probe closes it, or opens it for twice as long, up to 30 s. The outcome
 * of a call that began before the last change counts for nothing: it tells of a time that is over.
 */
export function createCircuitBreaker(clock: Clock): CircuitBreaker {
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
  const settleCall = (signal: HealthSignal) => {
    record.add(signal);
    if (record.looksIll) open(shortestOpenMs);
  };

  return {
    get state() {
      return state;
    },
    enter: () => {
      if (state === 'open' || probing) return null;
      const probe = state === 'half_open';
      probing = probe;
      const began = period;
      let settled = false;
      const settle = (signal: HealthSignal) => {
        if (settled || began !== period) return;
        settled = true;
        if (probe) settleProbe(signal);
        else settleCall(signal);
      };
      return { probe, settle };
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The calls of a closed circuit. */
function createCallRecord(now: () => number) {
  const calls: SlidingSum = createSlidingSum(windowMs, now);
  const ill: SlidingSum = createSlidingSum(windowMs, now);
  let inARow = 0;
  return {
    add: (signal: HealthSignal) => {
      if (signal === 'ignored') return;
      inARow = signal === 'failure' ? inARow + 1 : 0;
      calls.add(1);
      ill.add(signal === 'failure' ? 1 : 0);
    },
    get looksIll() {
      return inARow >= illInARow || (calls.total >= callsToJudge && ill.total * 2 >= calls.total);
    },
  };
}
