import { type Job, Queue, QueueKeys } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import type { Otp } from '../otp/otp.js';
import { addJobs, type NewJob } from './add-jobs.js';
import { queueNames, queuePrefix, queueStreams } from './queues.js';
import { placesLeft, takeTurns } from './turns.js';

export const sendOtpJob = 'send-otp';

/** The hash in which BullMQ sets the field `paused` while an operator pauses the queue. */
export const operatorPauseKey = new QueueKeys(queuePrefix).toKey(queueNames.sendOtp, 'meta');

/** A job's data: the OTP's id, and what makes Bull Board readable. Never a whole number, never a code. */
export const sendOtpPayload = z.object({ id: z.string(), app: z.string(), to: z.string() });

export type SendOtpPayload = z.infer<typeof sendOtpPayload>;

/** A job's return value: the provider's ids, null when nothing was sent. */
export interface SendOtpResult {
  uuid: string | null;
  smsId: string | null;
}

export type SendOtpJob = Job<SendOtpPayload, SendOtpResult, typeof sendOtpJob>;

/**
 * Attempts here are for trouble of our own, such as Redis going away. Retries of a send are counted in the OTP's
 * record, and its deadline ends them all, so this number only has to be out of the way.
 */
const jobOptions = { attempts: 1_000, backoff: { type: 'custom' } };

/** What a job needs of its OTP. */
export type QueuedOtp = Pick<Otp, 'id' | 'app' | 'to'>;

/** Jobs that wait for a worker. */
export interface Backlog {
  /** Those that somebody waits for, and those that wait for a moment. */
  single: number;
  bulk: number;
  /** Of the bulk, about how many are an app's own; apps take turns. */
  bulkByApp: ReadonlyMap<string, number>;
}

export interface SendOtpQueue {
  /** For OTPs that somebody waits for. Idempotent: a job with the OTP's id is added at most once. */
  add(...otps: readonly QueuedOtp[]): Promise<void>;
  /** For many of one app, at most a few hundred a call: single ones overtake them, and apps take turns. */
  addBulk(app: string, otps: readonly QueuedOtp[]): Promise<void>;
  /** Takes a job out that has not ended; rejects when a worker holds it. */
  remove(id: string): Promise<void>;
  /** Those of the OTPs that have no job, now that jobs which ended before their OTP are deleted. */
  withoutJob(otps: Otp[]): Promise<Otp[]>;
  /** How many jobs wait for a worker. */
  backlog(): Promise<Backlog>;
  /** Deletes jobs that ended more than `keepMs` ago: BullMQ does so by itself only while others end. */
  clean(keepMs: number): Promise<void>;
  queue: Queue<SendOtpPayload, SendOtpResult, typeof sendOtpJob>;
}

/** How many old jobs one call deletes at most; larger ranges hold Redis up. */
const cleanBatch = 1_000;

function jobOf({ id, app, to }: QueuedOtp, priority: number): NewJob {
  const data: SendOtpPayload = { id, app, to: to.masked };
  return { id, data, name: sendOtpJob, opts: { ...jobOptions, priority } };
}

/** `onError` hears of connection trouble, which BullMQ would otherwise print past every log. */
export function createSendOtpQueue(
  connection: Redis | Cluster,
  onError: (error: Error) => void,
): SendOtpQueue {
  const queue = new Queue<SendOtpPayload, SendOtpResult, typeof sendOtpJob>(queueNames.sendOtp, {
    connection,
    prefix: queuePrefix,
    streams: queueStreams,
  }).on('error', onError);
  return {
    queue,
    add: async (...otps) => {
      await addJobs(
        connection,
        queue,
        otps.map((otp) => jobOf(otp, 0)),
      );
    },
    addBulk: async (app, otps) => {
      const priorities = await takeTurns(connection, (name) => queue.toKey(name), {
        app,
        count: otps.length,
      });
      await addJobs(
        connection,
        queue,
        otps.map((otp, i) => jobOf(otp, priorities[i] ?? 1)),
      );
    },
    remove: async (id) => {
      const job = await queue.getJob(id);
      if (job && job.finishedOn === undefined) await job.remove();
    },
    withoutJob: async (otps) => {
      const found = await Promise.all(
        otps.map(({ id }) => connection.hmget(queue.toKey(id), 'timestamp', 'finishedOn')),
      );
      const ended = otps.filter((_, i) => typeof found[i]?.[1] === 'string');
      await Promise.all(ended.map(({ id }) => queue.remove(id)));
      return otps.filter((otp, i) => typeof found[i]?.[0] !== 'string' || ended.includes(otp));
    },
    backlog: async () => {
      const [counts, bulkByApp] = await Promise.all([
        queue.getJobCounts('waiting', 'delayed', 'prioritized'),
        placesLeft(connection, (name) => queue.toKey(name)),
      ]);
      const { waiting = 0, delayed = 0, prioritized = 0 } = counts;
      return { single: waiting + delayed, bulk: prioritized, bulkByApp };
    },
    clean: async (keepMs) => {
      for (const state of ['completed', 'failed'] as const) {
        while ((await queue.clean(keepMs, cleanBatch, state)).length === cleanBatch);
      }
    },
  };
}
