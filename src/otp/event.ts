import type { FailureCode } from './failure.js';
import type { Status } from './states.js';

/** What an OTP's events are called after: its status from then on. */
export const otpEventTypes = [
  'otp.sent',
  'otp.failed',
  'otp.unknown',
  'otp.verified',
  'otp.expired',
  'otp.locked',
] as const satisfies readonly `otp.${Status}`[];

/** Everything that the gateway tells of by itself. */
export const eventTypes = [
  ...otpEventTypes,
  'balance.low',
  'balance.expiring',
  'sending.paused',
  'sending.resumed',
  'range.blocked',
  'conversion.low',
] as const;

/** Those of one app, which can have a receiver of its own. */
export const appEventTypes = [...otpEventTypes, 'range.blocked', 'conversion.low'] as const;

export type EventType = (typeof eventTypes)[number];

export function isEventType(name: string): name is EventType {
  return (eventTypes as readonly string[]).includes(name);
}

/** Something that happened. */
export interface GatewayEvent {
  /** Unique, the same however often it is told, and in the order of `at` as text. */
  id: string;
  type: EventType;
  /** Milliseconds since 1970, UTC. */
  at: number;
  /** What it happened to; never a whole number, never a code. */
  about: EventSubject;
}

export type EventSubject =
  | { otpId: string; app: string; failure: FailureCode | null }
  | { credits: number; expiresOn: string | null }
  /** `text`: what the provider said, safe to show; null where the trouble says it all. `app`: the one that it is about, if not all. */
  | { trouble: string; text: string | null; app?: string }
  | { app: string; range: string }
  | { app: string; country: string; sent: number; verified: number };
