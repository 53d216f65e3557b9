import type { Job, Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { hourMs, minuteMs } from '../lib/time.js';
import { eventTypes, type GatewayEvent } from '../otp/event.js';
import { openQueue, queueNames } from './queues.js';

export const webhookJob = 'deliver-webhook';

/** A job's data: the event. The job's id is the event's. */
export const webhookPayload = z.object({
  id: z.string(),
  type: z.enum(eventTypes),
  at: z.number(),
  about: z.record(z.string(), z.union([z.string(), z.number(), z.null(), z.record(z.string(), z.number())])),
});

export type WebhookPayload = z.infer<typeof webhookPayload>;
export type WebhookJob = Job<WebhookPayload, null, typeof webhookJob>;

const secondMs = 1_000;

/** The wait after each failed attempt: over a day in total, then the job is a dead letter. */
export const webhookRetriesMs = [
  5 * secondMs,
  30 * secondMs,
  5 * minuteMs,
  30 * minuteMs,
  2 * hourMs,
  5 * hourMs,
  8 * hourMs,
  9 * hourMs,
] as const;

const deliveredKeptSeconds = 3_600;
const monthSeconds = 30 * 86_400;
const retriedAtATime = 200;
const cleanedAtATime = 10_000;
const jobOptions = {
  attempts: webhookRetriesMs.length + 1,
  backoff: { type: 'custom' },
  removeOnComplete: { age: deliveredKeptSeconds, count: 1_000 },
  removeOnFail: { age: monthSeconds, count: 100_000 },
};

export type WebhookQueue = ReturnType<typeof createWebhookQueue>;

/** The queue of deliveries. */
export function createWebhookQueue(connection: Redis | Cluster, onError: (error: Error) => void) {
  const queue: Queue<WebhookPayload, null, typeof webhookJob> = openQueue(
    { name: queueNames.webhook },
    { connection, onError },
  );
  return {
    queue,
    /** Idempotent: each event is delivered by one job. */
    add: async (events: readonly GatewayEvent[]) => {
      await queue.addBulk(
        events.map((event) => ({
          name: webhookJob,
          data: { ...event, about: { ...event.about } },
          opts: { ...jobOptions, jobId: event.id },
        })),
      );
    },
    /** Deliveries that wait for their first attempt, for a retry, or are dead letters. */
    counts: async () => {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
      const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
      return { waiting: waiting + active, retrying: delayed, dead: failed };
    },
    /** Retries every dead letter from the start; resolves with their number. */
    retryDead: async () => {
      let count = 0;
      for (;;) {
        const dead = await queue.getJobs(['failed'], 0, retriedAtATime - 1);
        if (dead.length === 0) return count;
        // A concurrent retry may have taken some.
        const retried = await Promise.allSettled(
          dead.map((job) => job.retry('failed', { resetAttemptsMade: true })),
        );
        const done = retried.filter(({ status }) => status === 'fulfilled').length;
        if (done === 0) return count;
        count += done;
      }
    },
    /** Deletes deliveries of over an hour ago, dead letters of over a month ago: BullMQ does so only while jobs end. */
    clean: async () => {
      await queue.clean(deliveredKeptSeconds * secondMs, cleanedAtATime, 'completed');
      await queue.clean(monthSeconds * secondMs, cleanedAtATime, 'failed');
    },
  };
}
