import type { BatchQueue } from '../queues/batch.js';
import { orderOf } from '../store/batch-progress.js';
import type { Store } from '../store/store.js';

const watchEveryMs = 5_000;
/** Batches checked together. */
const checkedTogether = 200;
/** To count the lines of one takes a call for each partition of a cluster. */
const notedTogether = 50;

/**
 * Adds the lost jobs of batches that have not ended, and wakes the first batch of each app; one worker of all does so
 * every 5 s.
 */
export function createBatchWatch({
  store: { batches, waitingLines, acquireLease },
  batchQueue,
}: {
  store: Pick<Store, 'batches' | 'waitingLines' | 'acquireLease'>;
  batchQueue: BatchQueue;
}) {
  const ensure = async ([batch, app]: readonly [string, string]) => {
    await batchQueue.ensure({ batch, app }, async () => {
      const facts = await batches.facts(batch);
      // The API may have ended before it listed the batch, too.
      if (facts) await batches.addToAppList(app, batch, facts.createdAt);
      return { name: facts?.name ?? null, delayMs: 0 };
    });
  };
  /** Records counts of a batch that has no turns (behind another batch), for backpressure and the overview. */
  const note = async ([batch, app]: readonly [string, string]) => {
    const [facts, { waiting, inFlight, at }] = await Promise.all([
      batches.facts(batch),
      waitingLines.count(batch),
    ]);
    if (!facts) return;
    const first = await waitingLines.firstOfApp(app);
    const isLater = facts.startAt !== null && facts.startAt > at;
    const isFirst = first === null || first === batch;
    const waitsFor = isLater ? 'start' : isFirst ? null : 'earlier_batch';
    await waitingLines.note({ batch, app, waiting, inFlight, order: orderOf(facts), waitsFor });
  };
  return {
    everyMs: watchEveryMs,
    run: async () => {
      if (!(await acquireLease('batches', watchEveryMs - 100))) return;
      const { apps, complete } = await waitingLines.batches();
      const active = await waitingLines.active();
      const all = [...new Map([...apps, ...active.map(({ batch, app }) => [batch, app] as const)])];
      for (let i = 0; i < all.length; i += checkedTogether) {
        await Promise.all(all.slice(i, i + checkedTogether).map(ensure));
      }
      if (!complete) return;
      const known = new Set(
        active.filter(({ waitsFor }) => waitsFor !== 'earlier_batch').map(({ batch }) => batch),
      );
      const behind = [...apps].filter(([batch]) => !known.has(batch));
      // Starts at a random batch, so that all are covered over time.
      const from = Math.floor(Math.random() * behind.length);
      await Promise.all([...behind.slice(from), ...behind.slice(0, from)].slice(0, notedTogether).map(note));
      for (const app of new Set(all.map(([, app]) => app))) {
        let first = await waitingLines.firstOfApp(app);
        // In case a worker died before doing so.
        while (first !== null && !apps.has(first)) {
          await batchQueue.wakeIdle(first);
          first = await waitingLines.leaveAppQueue(app, first);
        }
        if (first !== null) await batchQueue.wakeIdle(first);
      }
    },
  };
}
