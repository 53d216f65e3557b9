import type { Job } from 'bullmq';
import { z } from 'zod';
import { loadScript, type RedisClient } from '../store/script.js';

/** A queue without calls left is asked again after this time at most: calls that are not made are given back. */
const longestWaitMs = 250;

/** Calls that a queue may make in a time. */
export interface CallRate {
  max: number;
  duration: number;
}

/** The limit of calls a second, counted for each queue where a call is about to be made. */
export interface CallLimit {
  /** Takes a call for this job; how to give it back, or the ms until there may be one. */
  take(job: Pick<Job, 'prefix' | 'queueName'>): Promise<(() => Promise<void>) | number>;
}

const takenReply = z.tuple([z.tuple([z.number(), z.number(), z.number()])]);

/**
 * BullMQ's own limiter counts each job that it hands out: jobs that only find that their app is on hold would use up the
 * calls of all apps.
 */
export function createCallLimit(redis: RedisClient, rate: CallRate): CallLimit {
  const script = loadScript(redis, 'limits/windows#take');
  return {
    take: async ({ prefix, queueName }) => {
      const ask = async (count: number) =>
        takenReply.parse(await script([`${prefix}:${queueName}:calls`], [rate.max, rate.duration, count]))[0];
      const [taken, , endsInMs] = await ask(1);
      if (taken !== 1) return Math.min(longestWaitMs, endsInMs);
      return async () => {
        await ask(-1);
      };
    },
  };
}
