import { ApiProblem, retryAfter } from './problem.js';
import type { ProblemCode } from './problems.js';

/** Uploads, and exports, that one app may have under way in one process: each holds a few hundred lines in memory. */
export const slotsPerApp = 4;

const retryAfterMs = 5_000;

/** Counts what each app has under way of one kind of request; `problem` is for one too many. */
export function createAppSlots(problem: ProblemCode) {
  const underWay = new Map<string, number>();
  return {
    /** Takes a slot until the request is over, which the signal says; throws the problem when the app has none left. */
    take: (app: string, over: AbortSignal): void => {
      const before = underWay.get(app) ?? 0;
      if (before >= slotsPerApp) throw new ApiProblem(problem, { headers: retryAfter(retryAfterMs) });
      // A client that reset at once is gone already, and says so no more.
      if (over.aborted) return;
      underWay.set(app, before + 1);
      const free = () => {
        const left = (underWay.get(app) ?? 1) - 1;
        if (left > 0) underWay.set(app, left);
        else underWay.delete(app);
      };
      over.addEventListener('abort', free, { once: true });
    },
  };
}
