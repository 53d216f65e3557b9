import type { Load } from '../store/load.js';

const tellEveryMs = 1_000;

/** Counts the jobs that a worker takes out of the line, and tells the others once a second: admission judges the load by it. */
export function createProgress(load: Pick<Load, 'addDone'>) {
  let done = 0;
  return {
    count: () => {
      done += 1;
    },
    everyMs: tellEveryMs,
    run: async () => {
      const count = done;
      if (count === 0) return;
      await load.addDone(count);
      done -= count;
    },
  };
}
