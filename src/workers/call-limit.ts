import type { Job } from 'bullmq';
import { z } from 'zod';
import { withTimeout } from '../lib/with-timeout.js';
import { keys } from '../store/keys.js';
import { loadScript, type RedisClient } from '../store/script.js';

/** A queue without calls left is asked again after this time at most: calls that are not made are given back. */
const longestWaitMs = 250;

/** Calls that a queue may make in a time. */
export interface CallRate {
  max: number;
  duration: number;
}

/** How to give a call back: not where its window has ended, as the next one would have a call more. */
function givingBack(askedAt: number, windowMs: number, give: () => Promise<unknown>) {
  return async () => {
    if (performance.now() < askedAt + windowMs) await give();
  };
}

/** The limit of calls a second, counted for each queue where a call is about to be made. */
export type CallLimit = ReturnType<typeof createCallLimit>;

const waitReply = z.tuple([z.number(), z.number()]);
const takenReply = z.tuple([z.tuple([z.number(), z.number(), z.number()])]);

/**
 * BullMQ's own limiter counts each job that it hands out: jobs that only find that their app is on hold would use up the
 * calls of all apps.
 */
export function createCallLimit(redis: RedisClient, rate: CallRate) {
  const script = loadScript(redis, 'limits/windows#take');
  return {
    /** Takes a call for this job; how to give it back, or the ms until there may be one. */
    take: async ({ prefix, queueName }: Pick<Job, 'prefix' | 'queueName'>) => {
      const ask = async (count: number) =>
        takenReply.parse(await script([`${prefix}:${queueName}:calls`], [rate.max, rate.duration, count]))[0];
      const askedAt = performance.now();
      const [taken, , endsInMs] = await ask(1);
      if (taken !== 1) return Math.min(longestWaitMs, endsInMs);
      return givingBack(askedAt, endsInMs, () => ask(-1));
    },
  };
}

const secondMs = 1_000;
/** Deadline for Redis, so that on a cluster a master that is away delays an OTP only so long. */
const redisWithinMs = 500;

/**
 * The limit of calls a second of each app, of all workers together. An OTP that finds it used up gets a time to come back
 * at: those that wait come one after the other, however many they are.
 */
export function createAppCallLimit(redis: RedisClient, sendsPerSecondOf: (app: string) => number) {
  const takeOrWait = loadScript(redis, 'limits/windows#take-or-wait');
  const take = loadScript(redis, 'limits/windows#take');
  return {
    /** Takes a call for the app; how to give it back, or the ms until the OTP should ask again. */
    take: async (app: string): Promise<(() => Promise<unknown>) | number> => {
      const most = sendsPerSecondOf(app);
      if (most === 0) return async () => {};
      const window = keys.appSends(app);
      const askedAt = performance.now();
      const asked = takeOrWait([window, keys.appSendsRefused(app)], [most, secondMs]);
      // The limit protects iSMS and other apps; it must not stop an app whose master is away.
      const answer = await withTimeout(asked, redisWithinMs).catch(() => [0, 0]);
      const [waitMs, endsInMs] = waitReply.parse(answer);
      return waitMs || givingBack(askedAt, endsInMs, () => take([window], [most, secondMs, -1]));
    },
  };
}
