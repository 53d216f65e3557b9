import type { App } from './app.js';
import type { PhoneNumber } from './phone-number.js';

/** Every status of an OTP, in the order of its life (docs/states.md). */
export const statuses = [
  'queued',
  'sending',
  'sent',
  'verified',
  'expired',
  'locked',
  'failed',
  'unknown',
  'cancelled',
] as const;

export type Status = (typeof statuses)[number];

/**
 * The transitions of the state machine. The store compiles them into its Lua functions, so Redis rejects any other.
 *
 * - `queued → sent`: the late answer of an attempt that was given up, or lost by a rolled-back Redis.
 * - `queued → failed`: an unrecognised refusal that was not final by the OTP's deadline.
 * - `unknown → sent`: the late answer of an attempt whose outcome was unknown.
 * - `expired → verified`: a verification admitted before the expiry and answered after it.
 */
export const transitions: Readonly<Record<Status, readonly Status[]>> = {
  queued: ['sending', 'sent', 'failed', 'expired', 'unknown', 'cancelled'],
  sending: ['queued', 'sent', 'failed', 'unknown', 'cancelled'],
  sent: ['verified', 'expired', 'locked', 'cancelled'],
  verified: [],
  expired: ['verified'],
  locked: [],
  failed: [],
  unknown: ['sent', 'cancelled'],
  cancelled: [],
};

/** True until the send has a result; `Prefer: wait` waits for it. */
export function isPending(status: Status): boolean {
  return status === 'queued' || status === 'sending';
}

/** Why an OTP failed: a stable code, and a sentence that says what to do. */
export const failureMessages = {
  not_sent_in_time: 'It could not be sent before its deadline, so it was dropped. Request a new one.',
  provider_unreachable:
    'iSMS could not be reached in any of the retries, so nothing was sent. Request a new one.',
  outcome_unknown:
    'iSMS gave no usable answer, so an SMS may have gone out whose code cannot be verified. Offer to send again.',
  invalid_number: 'iSMS refused the phone number. Ask for another one.',
  recipient_denied:
    "The number is on the operator's deny list, so nothing was sent. Offer another way to sign in.",
  message_refused: 'iSMS refused the message: its length, encoding or content. Change the message.',
  insufficient_credits:
    'iSMS refused it twice for lack of credits, though the balance could pay it. Check the iSMS account.',
  rejected: 'iSMS refused the send for an unrecognised reason. Check the iSMS account.',
} as const;

export type FailureCode = keyof typeof failureMessages;

/** Single OTPs overtake bulk. */
export type Lane = 'single' | 'bulk';

/** Members that an OTP takes over from its request. */
interface RequestedOtp {
  app: string;
  to: PhoneNumber;
  message: string;
  unicode: boolean;
  credits: number;
  senderId: string | null;
  reference: string | null;
  ttlSeconds: number;
  maxAttempts: number;
  /** The user's address as limits count it, if the app sent it; a resend counts as well. */
  clientIp: string | null;
  /** The app's own ids that limits count by, by kind, such as `user`; a resend counts as well. */
  limitKeys: Readonly<Record<string, string>> | null;
  /** Hash of what the code approves (`hashBinding`): a verification must name the same. */
  binding: string | null;
  /** For example `login`: the newest OTP of a number and purpose can be verified without its id. */
  purpose: string | null;
  /** Name of the app's template that the message is from. */
  template: string | null;
  /** To a test number: no SMS is sent. */
  isTest: boolean;
}

/** A valid request for an OTP, completed with defaults. */
export interface OtpRequest extends RequestedOtp {
  sendDeadlineSeconds: number;
  /** The app's own limits; null: the gateway's. */
  limits: App['limits'] | null;
  /** The app's limits for each kind of limit key. */
  keyLimits: App['limitKeys'];
  /** Its admission cancels the app's earlier OTPs of this number and purpose, so that one code is valid. */
  replacesEarlier?: boolean;
}

/** An OTP at a moment of Redis's clock. Times are milliseconds since 1970, UTC. */
export interface Otp extends RequestedOtp {
  id: string;
  status: Status;
  /** Part of an upload. */
  inBatch: boolean;
  createdAt: number;
  sendDeadline: number;
  sentAt: number | null;
  expiresAt: number | null;
  verifiedAt: number | null;
  attemptsRemaining: number;
  uuid: string | null;
  smsId: string | null;
  failure: FailureCode | null;
}
