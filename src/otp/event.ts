import type { FailureCode, Status } from './otp.js';

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

/** What became of one delivery: taken; not taken, perhaps later; or the receiver wants no more of it. */
export type Delivery =
  | { kind: 'delivered' }
  | { kind: 'failed'; reason: string }
  | { kind: 'gone'; reason: string };

/** The port to whoever is told of events. Makes one attempt, and never throws for what the network or the receiver does. */
export interface WebhookEndpoint {
  /** `payload` is JSON text; `id` is the same for each attempt. */
  deliver(message: { id: string; payload: string }): Promise<Delivery>;
  close(): Promise<void>;
}

/** Who is told of what, as it is now. */
export interface WebhookReceivers {
  /** Null: nobody is told of this. `app`: whose event it is; null for one of the whole gateway. */
  of(type: EventType, app: string | null): Pick<WebhookEndpoint, 'deliver'> | null;
  close(): Promise<void>;
}
