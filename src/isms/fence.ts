import type { Dispatcher } from 'undici';
import type { UnsentReason } from '../otp/outcome.js';
import { isPast, type Moment } from '../otp/provider.js';

/** Knows of one call whether its request left this machine, and keeps it from leaving late or twice. */
export interface Fence {
  /** True from the moment right before the first byte is handed to a connected socket; never false again. */
  readonly left: boolean;
  /** Why the request did not leave; only meaningful while `left` is false. */
  readonly unsentReason: UnsentReason;
  /** From now on nothing leaves. What has left before is not called back. */
  shut(): void;
  /** Puts the fence into a dispatcher, in front of the wire. */
  readonly guard: Dispatcher.DispatcherComposeInterceptor;
}

/** A fence that lets one request pass, until `leaveBy`. */
export function createFence(leaveBy: Moment): Fence {
  let state: 'waiting' | 'left' | 'shut' = 'waiting';
  let stale = false;

  /** Throws instead of aborting: an abort would destroy the fresh connection, which the next call can use. */
  const pass = () => {
    if (state === 'waiting' && isPast(leaveBy)) {
      stale = true;
      state = 'shut';
    }
    if (state !== 'waiting') throw new Error('The request may not leave.');
    state = 'left';
  };

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
    guard: (dispatch) => (options, handler) => dispatch(options, guarded(handler, pass)),
  };
}

/** undici calls `onRequestStart` on a connected socket, in the same tick as it writes the request. */
function guarded(handler: Dispatcher.DispatchHandler, pass: () => void): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller, context) {
      pass();
      handler.onRequestStart?.(controller, context);
    },
    onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
    onResponseStart: (...args) => handler.onResponseStart?.(...args),
    onResponseData: (...args) => handler.onResponseData?.(...args),
    onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
    onResponseError: (...args) => handler.onResponseError?.(...args),
  };
}
