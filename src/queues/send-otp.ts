import { context, propagation } from '@opentelemetry/api';
import { type Job, type Queue, QueueKeys } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { groupBy } from '../lib/group-by.js';
import { withTimeout } from '../lib/with-timeout.js';
import type { Otp } from '../otp/otp.js';
import { addJobs, type NewJob } from './add-jobs.js';
import { type Backlog, backlogOf, earliest, sumOf, type WaitingSince, waitingSince } from './backlog.js';
import { takePlaces } from './fair-queue.js';
import { openQueue, type QueueConnection } from './queues.js';
import { announceShards, knownShards, shardName, shardOf } from './shards.js';

export const sendOtpJob = 'send-otp';

/** The hashes in which BullMQ sets the field `paused` while an operator pauses one of so many send queues. */
export function operatorPauseKeys(shardCount: number): string[] {
  return Array.from({ length: shardCount }, (_, n) => {
    const { name, prefix } = shardName(n);
    return new QueueKeys(prefix).toKey(name, 'meta');
  });
}

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
export type QueuedOtp = Pick<Otp, 'id' | 'app' | 'to'> & {
  /** What goes on where it was asked for, if that is traced. */
  trace?: string | undefined;
};

/** The send queue: one queue of BullMQ, or several shards that share the OTPs. */
export interface SendOtpQueue {
  /**
   * For OTPs that somebody waits for. Idempotent: a job with the OTP's id is added at most once. False: added, perhaps to
   * a shard that no worker knows of yet.
   */
  add(...otps: readonly QueuedOtp[]): Promise<boolean>;
  /** For many of one app, at most a few hundred a call: single ones overtake them, and apps take turns. */
  addBulk(app: string, otps: readonly QueuedOtp[]): Promise<boolean>;
  /** The number of the shard that an OTP's job goes to. */
  shardOf(id: string): number;
  /** Takes a job out that has not ended; rejects when a worker holds it. */
  remove(id: string): Promise<void>;
  /** Deletes a job whatever has become of it; false: a worker holds it, so it stays. */
  erase(id: string): Promise<boolean>;
  /**
   * Those of the OTPs that have no job, now that jobs which ended before their OTP are deleted; `unsure`: those of which
   * nobody knows, since a shard does not answer.
   */
  withoutJob<O extends QueuedOtp>(
    otps: readonly O[],
  ): Promise<{ missing: O[]; unsure: { otps: O[]; error: unknown } | null }>;
  /** How many jobs wait for a worker, in the shards that can be asked. Rejects when none can. */
  backlog(): Promise<Backlog>;
  /** When the OTPs that come next were added, in ms since 1970; null where none waits. Of the shards that can be asked. */
  waitingSince(): Promise<WaitingSince>;
  /** Deletes jobs that ended more than `keepMs` ago: BullMQ does so by itself only while others end. */
  clean(keepMs: number): Promise<void>;
  /** The shards that there have ever been, also those that nothing is added to any more: jobs may wait in them. */
  known(): Promise<number[]>;
  /** Of these shards, those beyond this process's own number in which no job is left, and for a while none was. */
  emptied(among: readonly number[]): Promise<number[]>;
  /** Those that are added to, in their order. */
  queues: [BullQueue, ...BullQueue[]];
  close(): Promise<void>;
}

/** A send queue as BullMQ has it. */
export type BullQueue = Queue<SendOtpPayload, SendOtpResult, typeof sendOtpJob>;

/** Where the number of shards is not read by then, its server is taken for away. */
const knownDeadlineMs = 1_000;

/** Processes with an earlier, larger number of shards may add to a shard that was empty a moment ago. */
const unusedForMs = 15 * 60_000;

/** The states of a job that a worker still has something to do with. */
const notEnded = ['waiting', 'active', 'delayed', 'prioritized'] as const;

/** How many old jobs one call deletes at most; larger ranges hold Redis up. */
const cleanBatch = 1_000;

function jobOf({ id, app, to, trace }: QueuedOtp, priority: number): NewJob {
  const data: SendOtpPayload = { id, app, to: to.masked };
  const telemetry = trace === undefined ? {} : { telemetry: { metadata: trace } };
  return { id, data, name: sendOtpJob, opts: { ...jobOptions, priority, ...telemetry } };
}

export interface SendOtpQueueOptions extends QueueConnection {
  shards?: number;
}

/** The send queue, over a connection that suits the process. */
export function createSendOtpQueue({ connection, onError, shards = 1 }: SendOtpQueueOptions): SendOtpQueue {
  const open = (n: number): BullQueue => openQueue(shardName(n), { connection, onError });
  const opened = new Map<number, BullQueue>();
  const shard = (n: number): BullQueue => {
    const queue = opened.get(n) ?? open(n);
    opened.set(n, queue);
    return queue;
  };
  const ofThisMap = Array.from({ length: shards }, (_, n) => shard(n));
  const shardOfId = shardOf(shards);
  const announce = once(() => announceShards(connection, shards));
  let seen = Array.from({ length: shards }, (_, n) => n);
  /** Where they are kept may be away: then those that were last seen. */
  const known = async () => {
    const reading = knownShards(connection, shards).then((found) => {
      seen = found;
    });
    await withTimeout(reading, knownDeadlineMs).catch(() => {});
    return seen;
  };
  const byShard = <O extends QueuedOtp>(otps: readonly O[]) =>
    [...groupBy(otps, ({ id }) => String(shardOfId(id)))].map(
      ([n, ofShard]) => [Number(n), ofShard] as const,
    );
  const inEach = async <O extends QueuedOtp>(
    otps: readonly O[],
    add: (queue: BullQueue, ofShard: O[]) => Promise<void>,
  ) => {
    // Workers with the same number of shards serve them anyway; whether all others know is told.
    const announced = await announce().then(
      () => true,
      () => false,
    );
    await Promise.all(byShard(otps).map(([n, ofShard]) => add(shard(n), ofShard)));
    return announced;
  };
  const inKnown = async <T>(work: (queue: BullQueue) => Promise<T>): Promise<T[]> =>
    await Promise.all((await known()).map((n) => work(shard(n))));

  return {
    known,
    emptied: async (among) => {
      const others = among.filter((n) => n >= shards);
      // One that does not tell counts as in use.
      const isUnused = (n: number) =>
        withTimeout(unusedSince(connection, shard(n), Date.now() - unusedForMs), knownDeadlineMs);
      const unused = await Promise.all(others.map((n) => isUnused(n).catch(() => false)));
      return others.filter((_, i) => unused[i]);
    },
    shardOf: shardOfId,
    queues: ofThisMap as [BullQueue, ...BullQueue[]],
    add: (...otps) =>
      inEach(otps, (queue, ofShard) =>
        addJobs(
          connection,
          queue,
          ofShard.map((otp) => jobOf(otp, 0)),
        ),
      ),
    addBulk: (app, otps) =>
      inEach(otps, async (queue, ofShard) => {
        const toKey = (name: string) => queue.toKey(name);
        const priorities = await takePlaces(connection, toKey, { app, count: ofShard.length });
        await addJobs(
          connection,
          queue,
          ofShard.map((otp, i) => jobOf(otp, priorities[i] ?? 1)),
        );
      }),
    remove: async (id) => {
      await inKnown(async (queue) => {
        const job = await queue.getJob(id);
        if (job && job.finishedOn === undefined) await job.remove();
      });
    },
    erase: async (id) => {
      await inKnown((queue) => queue.remove(id));
      const left = await inKnown((queue) => queue.getJob(id));
      return left.every((job) => job === undefined);
    },
    withoutJob: async (otps) => {
      const found = new Set<string>();
      const failures: unknown[] = [];
      const look = async (n: number, some: readonly QueuedOtp[]) => {
        if (some.length === 0) return;
        const ids = await idsWithJob(connection, shard(n), some).catch((error: unknown) => {
          failures.push(error);
          return [];
        });
        for (const id of ids) found.add(id);
      };
      await Promise.all(byShard(otps).map(([n, ofShard]) => look(n, ofShard)));
      const rest = otps.filter(({ id }) => !found.has(id));
      if (rest.length === 0) return { missing: [], unsure: null };
      // Their jobs may be where they were put when there were more shards, or fewer.
      const elsewhere = (n: number) => rest.filter(({ id }) => shardOfId(id) !== n);
      await Promise.all((await known()).map((n) => look(n, elsewhere(n))));
      const left = rest.filter(({ id }) => !found.has(id));
      if (failures.length === 0) return { missing: left, unsure: null };
      return { missing: [], unsure: { otps: left, error: failures[0] } };
    },
    backlog: async () => {
      const found = await Promise.allSettled((await known()).map((n) => backlogOf(connection, shard(n))));
      const read = found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      if (read.length === 0) throw new Error('Connection is closed: no shard answers.');
      return sumOf(read);
    },
    waitingSince: async () => {
      const found = await Promise.allSettled((await known()).map((n) => waitingSince(connection, shard(n))));
      return earliest(found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
    },
    clean: async (keepMs) => {
      await inKnown(async (queue) => {
        for (const state of ['completed', 'failed'] as const) {
          while ((await queue.clean(keepMs, cleanBatch, state)).length === cleanBatch);
        }
      });
    },
    close: async () => {
      await Promise.all([...opened.values()].map((queue) => queue.close()));
    },
  };
}

/** Runs `work` until it has succeeded once. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => {
    done ??= work().catch((error: unknown) => {
      done = null;
      throw error;
    });
    return done;
  };
}

/** True when a queue holds no job that has not ended, and the last one that did ended before then. */
async function unusedSince(redis: Redis | Cluster, queue: BullQueue, moment: number): Promise<boolean> {
  const [left, ...ended] = await Promise.all([
    queue.getJobCountByTypes(...notEnded),
    ...['completed', 'failed'].map((state) => redis.zcount(queue.toKey(state), moment, '+inf')),
  ]);
  return left === 0 && ended.every((count) => count === 0);
}

/** Deletes jobs that ended before their OTP, and names those of the OTPs that have one still. */
async function idsWithJob(
  redis: Redis | Cluster,
  queue: BullQueue,
  otps: readonly QueuedOtp[],
): Promise<Set<string>> {
  const found = await Promise.all(
    otps.map(({ id }) => redis.hmget(queue.toKey(id), 'timestamp', 'finishedOn')),
  );
  const ended = otps.filter((_, i) => typeof found[i]?.[1] === 'string');
  await Promise.all(ended.map(({ id }) => queue.remove(id)));
  const there = otps.filter((otp, i) => typeof found[i]?.[0] === 'string' && !ended.includes(otp));
  return new Set(there.map(({ id }) => id));
}

/** The trace that is going on here, as a job carries it to its worker (W3C trace context); nothing while none is. */
export function traceMetadata(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  const { traceparent } = carrier;
  // What callers put into `tracestate` may be anything, and jobs are shown to people.
  return traceparent === undefined ? undefined : JSON.stringify({ traceparent });
}
