import type { Logger } from './logger.js';

/** Runs `work`, waits `everyMs`, and again; a failure is logged and the next turn tries anew. */
export function every(everyMs: number, work: () => Promise<void>, logger: Logger): { stop(): Promise<void> } {
  let stopped = false;
  let wake = () => {};
  const run = async () => {
    while (!stopped) {
      await work().catch((error: unknown) =>
        logger.error(
          { event: 'worker.background_failed', err: error },
          'background work failed; trying again',
        ),
      );
      if (stopped) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  const running = run();
  return {
    stop: async () => {
      stopped = true;
      wake();
      await running;
    },
  };
}
