import type { WebhookQueue } from '../queues/webhook.js';
import type { Store } from '../store/store.js';

const relayEveryMs = 500;
/** Reads of one turn: then somebody else's work has its turn, too. */
const mostReads = 20;

export interface RelayDependencies {
  store: Pick<Store, 'events' | 'holdLease'>;
  webhookQueue: Pick<WebhookQueue, 'add'>;
}

/**
 * Turns events that were written down into jobs; one worker of all does so twice a second. An event is let go of once
 * its job is there, so a relay that dies in between is repeated, and a job is added once.
 */
export function createRelay({ store, webhookQueue }: RelayDependencies) {
  return {
    everyMs: relayEveryMs,
    run: async () => {
      // A little less than the period, so that the same worker's next turn finds the lease free.
      if (!(await store.holdLease('relay', relayEveryMs - 50))) return;
      for (let reads = 0; reads < mostReads; reads++) {
        const events = await store.events.read();
        if (events.length === 0) return;
        await webhookQueue.add(events.map(({ event }) => event));
        await store.events.forget(events);
      }
    },
  };
}
