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
  sendWithinSeconds: number;
  maxAttempts: number;
  /** What the address of the person asking is counted by, if the app named it. */
  clientIp: string | null;
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
  credits: number;
  ttlSeconds: number;
  createdAt: number;
  sendBefore: number;
  sentAt: number | null;
  expiresAt: number | null;
  verifiedAt: number | null;
  attemptsRemaining: number;
  uuid: string | null;
  smsId: string | null;
  failure: FailureCode | null;
}
