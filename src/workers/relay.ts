import type { Logger } from '../lib/logger.js';
import type { WebhookReceivers } from '../otp/webhook.js';
import type { WebhookQueue } from '../queues/webhook.js';
import type { Store } from '../store/store.js';
import { appOf } from './webhook.js';

const relayEveryMs = 500;
const cleanEveryMs = 60_000;
/** Reads of one turn: then somebody else's work has its turn, too. */
const mostReads = 40;
/**
 * Deliveries that may wait: about 150 MB of Redis. A receiver that is away for long must not take the memory that new
 * OTPs need; what comes beyond stays where it was written, the newest 10,000 of each partition.
 */
const mostDeliveries = 200_000;

export interface RelayDependencies {
  store: Pick<Store, 'events' | 'holdLease'>;
  webhookQueue: Pick<WebhookQueue, 'add' | 'counts' | 'clean'>;
  receivers: Pick<WebhookReceivers, 'of'>;
  logger: Logger;
}

/**
 * Turns events that were written down into jobs; one worker of all does so twice a second. An event is let go of once
 * its job is there, so a relay that dies in between is repeated, and a job is added once.
 */
export function createRelay({ store, webhookQueue, receivers, logger }: RelayDependencies) {
  let full = false;
  const isFull = async () => {
    const { waiting, retrying } = await webhookQueue.counts();
    const now = waiting + retrying >= mostDeliveries;
    if (now && !full) {
      logger.error({ event: 'webhook.behind', waiting, retrying }, 'too many events wait for the webhook');
    }
    full = now;
    return full;
  };
  const relay = async (): Promise<boolean> => {
    const stored = await store.events.read();
    if (stored.length === 0) return false;
    const events = stored.flatMap(({ event, entry }) => {
      if (event) return [event];
      logger.error({ event: 'webhook.unreadable', entry }, 'an event makes no sense here, and is dropped');
      return [];
    });
    await webhookQueue.add(events.filter(({ type, about }) => receivers.of(type, appOf(about)) !== null));
    await store.events.forget(stored);
    return true;
  };
  return {
    everyMs: relayEveryMs,
    run: async () => {
      // A little less than the period, so that the same worker's next turn finds the lease free.
      if (!(await store.holdLease('relay', relayEveryMs - 50))) return;
      if (await store.holdLease('webhook-clean', cleanEveryMs)) await webhookQueue.clean();
      if (await isFull()) return;
      for (let reads = 0; reads < mostReads && (await relay()); reads++);
    },
  };
}
