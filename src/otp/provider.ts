import type { BalanceOutcome, SendOutcome, VerifyOutcome } from './outcome.js';
import type { PhoneNumber } from './phone-number.js';

/** A moment on both clocks of this process, in milliseconds: `performance.now()` and `Date.now()`. */
export interface Moment {
  monotonic: number;
  wall: number;
}

/** The moment that is `ms` from now. */
export function momentIn(ms: number): Moment {
  return { monotonic: performance.now() + ms, wall: Date.now() + ms };
}

/** True when either clock says so: the monotonic one stands still while a machine is suspended. */
export function isPast({ monotonic, wall }: Moment): boolean {
  return performance.now() > monotonic || Date.now() > wall;
}

/**
 * When a send may leave at the latest, since a frozen process must not send minutes late, and when it must be over
 * (`performance.now()`), since no call outlives its claim.
 */
export interface SendWindow {
  leaveBy: Moment;
  endBy: number;
}

export interface SendCall {
  app: string;
  /** Whether nothing is to be sent: it was admitted as one to a test number. */
  isTest: boolean;
  to: PhoneNumber;
  /** The template with `%OTP%` in it; the provider puts the code there. */
  message: string;
  unicode: boolean;
  senderId: string | null;
  /** Counts the OTP's claims, from 1; above 1 the call is a retry or a resend. */
  attempt: number;
}

export interface VerifyCall {
  app: string;
  /** Whether nothing was sent, so that the operator's fixed code is right. */
  isTest: boolean;
  to: PhoneNumber;
  uuid: string;
  smsId: string;
  code: string;
  /** How long the code is valid, in whole minutes, counted by the provider from its send. */
  validMinutes: number;
  senderId: string | null;
}

/**
 * The port to the SMS provider. Each method makes at most one call, never throws for anything the network or
 * the provider does, and never lets credentials, codes or whole numbers into an outcome.
 */
export interface Provider {
  send(call: SendCall, window: SendWindow): Promise<SendOutcome>;
  verify(call: VerifyCall): Promise<VerifyOutcome>;
  balance(): Promise<BalanceOutcome>;
  /** Ends idle connections; calls under way are finished first. */
  close(): Promise<void>;
}
