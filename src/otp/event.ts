import type { BudgetPeriod } from './budget.js';
import type { FailureCode, Status } from './otp.js';

const batchEventTypes = ['batch.started', 'batch.finished'] as const;

/** Events of an OTP, named after its new status. */
const otpEventTypes = [
  'otp.sent',
  'otp.failed',
  'otp.unknown',
  'otp.verified',
  'otp.expired',
  'otp.locked',
] as const satisfies readonly `otp.${Status}`[];

/** Events of one app, which can have its own receiver. */
export const appEventTypes = [
  ...otpEventTypes,
  ...batchEventTypes,
  'range.blocked',
  'conversion.low',
  'budget.low',
  'budget.spent',
] as const;

/** Every event that the gateway sends. */
export const eventTypes = [
  ...appEventTypes,
  'balance.low',
  'balance.expiring',
  'sending.paused',
  'sending.resumed',
] as const;

export type EventType = (typeof eventTypes)[number];

export function isEventType(name: string): name is EventType {
  return (eventTypes as readonly string[]).includes(name);
}

export interface GatewayEvent {
  /** Unique, the same for each delivery; sorts by `at` as text. */
  id: string;
  type: EventType;
  /** Milliseconds since 1970, UTC. */
  at: number;
  /** Never holds a whole number or a code. */
  about: EventSubject;
}

export type EventSubject =
  | BatchSubject
  | BatchEnd
  | { otpId: string; app: string; failure: FailureCode | null }
  | { credits: number; expiresOn: string | null }
  /** `text`: the provider's words, safe to show, or null. `app`: the app concerned, if not all. */
  | { trouble: string; text: string | null; app?: string }
  | { app: string; range: string }
  | { app: string; country: string; sent: number; verified: number }
  /** Credits; `endsAt`: when the next day or month begins. */
  | { app: string; period: BudgetPeriod; budget: number; used: number; endsAt: string };

/** `id`: the batch's. */
interface BatchSubject {
  id: string;
  app: string;
  name: string | null;
}

interface BatchEnd extends BatchSubject {
  status: 'finished' | 'cancelled';
  lines: number;
  counts: Record<Status, number>;
}

/** Result of one delivery; `gone`: the receiver wants no more attempts of this event. */
export type Delivery = { kind: 'delivered' } | { kind: 'failed' | 'gone'; reason: string };

/** Delivers events to one receiver. Makes one attempt; never rejects for a failure of the network or the receiver. */
export interface WebhookEndpoint {
  /** `payload`: JSON text; `id`: the same for each attempt. */
  deliver(message: { id: string; payload: string }): Promise<Delivery>;
  close(): Promise<void>;
}

/** The current receivers. */
export interface WebhookReceivers {
  /** The receiver of an event, or null. `app`: null for an event of the whole gateway. */
  of(type: EventType, app: string | null): Pick<WebhookEndpoint, 'deliver'> | null;
  close(): Promise<void>;
}
