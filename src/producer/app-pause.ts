import type { BatchQueue } from '../queues/batch.js';
import type { Store } from '../store/store.js';

/** Pauses or resumes the sends of an app; false if it was so before. Its batches follow at once, its other OTPs in seconds. */
export async function setAppPaused(
  {
    store,
    batchQueue,
  }: { store: Pick<Store, 'appPauses' | 'waitingLines'>; batchQueue: Pick<BatchQueue, 'wake'> },
  app: string,
  paused: boolean,
): Promise<boolean> {
  const changed = await (paused ? store.appPauses.pause(app) : store.appPauses.resume(app));
  const active = await store.waitingLines.active();
  // Those behind others are woken by these.
  const first = active.filter((one) => one.app === app && one.waitsFor !== 'earlier_batch');
  await Promise.all(first.map(({ batch }) => batchQueue.wake(batch)));
  return changed;
}
