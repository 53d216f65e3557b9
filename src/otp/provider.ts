import type { BalanceOutcome, SendOutcome, VerifyOutcome } from './outcome.js';
import type { PhoneNumber } from './phone-number.js';

/**
 * When a send may leave and when it must be over, in milliseconds of this process's monotonic clock
 * (`performance.now()`): a frozen process must not send minutes late, and no call outlives its claim.
 */
export interface SendWindow {
  leaveBy: number;
  endBy: number;
}

export interface SendCall {
  to: PhoneNumber;
  /** The template with `%OTP%` in it; the provider puts the code there. */
  message: string;
  unicode: boolean;
  senderId: string | null;
}

export interface VerifyCall {
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
