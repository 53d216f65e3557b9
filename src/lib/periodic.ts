import { setTimeout as sleep } from 'node:timers/promises';

/** Runs `work` and repeats it `everyMs` after it ended, also after a failure, which `onError` gets. */
export function every(
  everyMs: number,
  work: () => Promise<void>,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async () => {
    while (!signal.aborted) {
      await work().catch(onError);
      await sleep(everyMs, null, { signal }).catch(() => {});
    }
  };
  const running = run();
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
