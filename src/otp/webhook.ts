import type { EventType } from './event.js';

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
