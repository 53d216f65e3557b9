import type { BatchQueue } from '../queues/batch.js';
import type { Store } from '../store/store.js';

/** Pauses or resumes the sends of an app; false if nothing changed. Batches follow at once, other OTPs in seconds. */
export async function setAppPaused(
  dependencies: { store: Pick<Store, 'appPauses' | 'waitingLines'>; batchQueue: Pick<BatchQueue, 'wake'> },
  app: string,
  paused: boolean,
): Promise<boolean> {
  const { store, batchQueue } = dependencies;
  const changed = await (paused ? store.appPauses.pause(app) : store.appPauses.resume(app));
  const active = await store.waitingLines.active();
  // Each batch wakes the one behind it.
  const first = active.filter((one) => one.app === app && one.waitsFor !== 'earlier_batch');
  await Promise.all(first.map(({ batch }) => batchQueue.wake(batch)));
  return changed;
}
