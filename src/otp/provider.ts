import type { BalanceOutcome, SendOutcome, VerifyOutcome } from './outcome.js';
import type { PhoneNumber } from './phone-number.js';

/** A moment on both clocks of this process, in milliseconds: `performance.now()` and `Date.now()`. */
interface Moment {
  monotonic: number;
  wall: number;
}

/** The moment `ms` from now. */
export function momentIn(ms: number): Moment {
  return { monotonic: performance.now() + ms, wall: Date.now() + ms };
}

/**
 * `leaveBy`: the latest start of a send, so that a frozen process does not send minutes late. `endBy`: its latest end
 * (`performance.now()`), since no call outlives its claim.
 */
export interface CallWindow {
  leaveBy: Moment;
  endBy: number;
}

export interface SendCall {
  app: string;
  /** To a test number: no SMS is sent, and the operator's fixed code is valid. */
  isTest: boolean;
  to: PhoneNumber;
  /** Holds `%OTP%`, which the provider replaces with the code. */
  message: string;
  unicode: boolean;
  senderId: string | null;
  /** 1 for the OTP's first call, more for a retry or a resend. */
  callNumber: number;
}

export interface VerifyCall extends Pick<SendCall, 'app' | 'isTest' | 'to' | 'senderId'> {
  uuid: string;
  smsId: string;
  code: string;
  /** Validity of the code in whole minutes, which the provider counts from the send. */
  validMinutes: number;
}

/**
 * The SMS provider. Each method makes at most one call, never rejects for a failure of the network or the provider, and
 * never puts credentials, codes or whole numbers into an outcome.
 */
export interface Provider {
  send(call: SendCall, window: CallWindow): Promise<SendOutcome>;
  verify(call: VerifyCall): Promise<VerifyOutcome>;
  balance(): Promise<BalanceOutcome>;
  /** Closes the connections once the calls in progress have ended. */
  close(): Promise<void>;
}
