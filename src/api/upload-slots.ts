import type { Response } from 'express';
import { ApiProblem, retryAfter } from './problem.js';

/** Uploads that one app may have under way in one process, each of which holds a few hundred lines in memory. */
export const mostUploadsPerApp = 4;

const retryAfterMs = 5_000;

/** Counts the uploads of each app that are under way. */
export function createUploadSlots() {
  const underWay = new Map<string, number>();
  return {
    /** Takes a slot until the answer is over; throws the problem `too_many_uploads` when the app has none left. */
    take: (app: string, res: Response): void => {
      const before = underWay.get(app) ?? 0;
      if (before >= mostUploadsPerApp)
        throw new ApiProblem('too_many_uploads', { headers: retryAfter(retryAfterMs) });
      // A client that reset at once is gone already, and says so no more.
      if (res.closed) return;
      underWay.set(app, before + 1);
      res.once('close', () => {
        const left = (underWay.get(app) ?? 1) - 1;
        if (left > 0) underWay.set(app, left);
        else underWay.delete(app);
      });
    },
  };
}
