import type { AppLimits } from './app.js';
import type { FailureCode } from './failure.js';
import type { PhoneNumber } from './phone-number.js';
import type { Status } from './states.js';

/** Which line an OTP waits in: single ones overtake bulk. */
export type Lane = 'single' | 'bulk';

/** What an app asks for, checked and completed with defaults; nothing in it needs parsing again. */
export interface OtpRequest {
  app: string;
  to: PhoneNumber;
  message: string;
  unicode: boolean;
  credits: number;
  senderId: string | null;
  reference: string | null;
  ttlSeconds: number;
  sendDeadlineSeconds: number;
  maxAttempts: number;
  /** What the address of the person asking is counted by, if the app named it. */
  clientIp: string | null;
  /** What it is for, such as `login`: the newest of a number and purpose can be verified without its id. */
  purpose: string | null;
  /** Limits of the app's own; null: the gateway's. */
  limits: AppLimits | null;
  /** Whether it is to a test number, to which nothing is ever sent. */
  isTest: boolean;
  /** Whether its admission cancels the app's earlier OTPs of this number and purpose, so that one code counts. */
  replacesEarlier?: boolean;
}

/** An OTP as it stands at one moment of Redis's clock. Times are milliseconds since 1970, UTC. */
export interface Otp {
  id: string;
  app: string;
  status: Status;
  to: PhoneNumber;
  message: string;
  unicode: boolean;
  senderId: string | null;
  reference: string | null;
  /** What the address of the person asking is counted by; a resend counts there, too. */
  clientIp: string | null;
  purpose: string | null;
  /** Whether it is to a test number: nothing was or will be sent. */
  isTest: boolean;
  /** Whether it came in an upload of many. */
  inBatch: boolean;
  credits: number;
  ttlSeconds: number;
  createdAt: number;
  sendDeadline: number;
  sentAt: number | null;
  expiresAt: number | null;
  verifiedAt: number | null;
  maxAttempts: number;
  attemptsRemaining: number;
  uuid: string | null;
  smsId: string | null;
  failure: FailureCode | null;
}
