import { setTimeout as sleep } from 'node:timers/promises';

const everyMs = 1_000;

/** What each look finds, one a second, the last being the one that is over. Rejects as soon as the signal aborts. */
export async function* watch<T>(
  look: () => Promise<T>,
  isOver: (found: T) => boolean,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  for (;;) {
    const found = await look();
    yield found;
    if (isOver(found)) return;
    await sleep(everyMs, undefined, { signal });
  }
}
