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
  await Promise.all(active.map((one) => one.app === app && batchQueue.wake(one.batch)));
  return changed;
}
