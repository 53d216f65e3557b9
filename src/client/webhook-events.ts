import type { EventSubject, EventType, otpEventTypes } from '../otp/event.js';
import type { Otp } from './answers.js';

type OtpEventType = (typeof otpEventTypes)[number];

/** What is told of an OTP; `client.get(id)` tells more. */
export interface OtpEventData<S extends string = string> {
  id: string;
  app: string;
  reference: string | null;
  /** From then on. */
  status: S;
  failure: Otp['failure'];
}

/** What an event of this type tells. */
export type WebhookData<T extends EventType> = T extends OtpEventType
  ? OtpEventData<T extends `otp.${infer S}` ? S : never>
  : T extends `balance.${string}`
    ? Extract<EventSubject, { credits: number }>
    : T extends `sending.${string}`
      ? Extract<EventSubject, { trouble: string }>
      : T extends `conversion.${string}`
        ? Extract<EventSubject, { country: string }>
        : Extract<EventSubject, { range: string }> & { enforced: boolean };

/** By its type, what happened. A newer gateway may tell of more than is listed here: have a default for it. */
export type WebhookEvent = {
  [T in EventType]: {
    /** The same however often it is delivered. */
    id: string;
    type: T;
    /** When it happened, UTC with milliseconds. */
    timestamp: string;
    data: WebhookData<T>;
  };
}[EventType];

/** What webhooks tell of. */
export type { EventType as WebhookEventType } from '../otp/event.js';
