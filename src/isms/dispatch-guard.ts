import type { UnsentReason } from '../otp/outcome.js';
import { isPast, type Moment } from '../otp/provider.js';

/** Knows of one call whether its request left this machine, and keeps it from leaving late or twice. */
export interface DispatchGuard {
  /** True from the moment right before the first byte is handed to a connected socket; never false again. */
  readonly left: boolean;
  /** Why the request did not leave; only meaningful while `left` is false. */
  readonly unsentReason: UnsentReason;
  /** From now on nothing leaves. What has left before is not called back. */
  shut(): void;
  /**
   * Lets the request leave, once; to be called in the same tick as it is written. Throws where it may not, instead of
   * aborting: an abort would destroy the fresh connection, which the next call can use.
   */
  pass(): void;
}

/** A fence that lets one request pass, until `leaveBy`. */
export function createDispatchGuard(leaveBy: Moment): DispatchGuard {
  let state: 'waiting' | 'left' | 'shut' = 'waiting';
  let stale = false;

  return {
    get left() {
      return state === 'left';
    },
    get unsentReason() {
      return stale ? 'stale_claim' : 'not_connected';
    },
    shut() {
      if (state === 'waiting') state = 'shut';
    },
    pass() {
      if (state === 'waiting' && isPast(leaveBy)) {
        stale = true;
        state = 'shut';
      }
      if (state !== 'waiting') throw new Error('The request may not leave.');
      state = 'left';
    },
  };
}
