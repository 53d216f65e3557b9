import { context, propagation } from '@opentelemetry/api';
import { type Job, type Queue, QueueKeys } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { once } from '../lib/memoize.js';
import { fulfilled, withTimeout } from '../lib/with-timeout.js';
import type { Otp } from '../otp/otp.js';
import { addJobs, type JobCall, jobCalls, type NewJob } from './add-jobs.js';
import { openQueue, type QueueConnection } from './queues.js';
import { announceShards, knownShards, shardName, shardOf, shardOfPartition } from './shards.js';

export const sendOtpJob = 'send-otp';

/** The hashes whose field `paused` BullMQ sets while an operator pauses a shard. */
export function operatorPauseKeys(shardCount: number): string[] {
  return Array.from({ length: shardCount }, (_, n) => {
    const { name, prefix } = shardName(n);
    return new QueueKeys(prefix).toKey(name, 'meta');
  });
}

/** A job's data: the OTP's id, and app, masked number and batch for Bull Board. Never a whole number or a code. */
export const sendOtpPayload = z.object({
  id: z.string(),
  app: z.string(),
  to: z.string(),
  batch: z.string().optional(),
});

export type SendOtpPayload = z.infer<typeof sendOtpPayload>;

/** A job's return value: the provider's ids, null if no SMS was sent. */
export interface SendOtpResult {
  uuid: string | null;
  smsId: string | null;
}

export type SendOtpJob = Job<SendOtpPayload, SendOtpResult, typeof sendOtpJob>;

/**
 * These attempts cover failures of the gateway, such as a lost Redis. Retries of a send are counted in the OTP's record
 * and end at its deadline, so this number only has to be large.
 */
const jobOptions = { attempts: 1_000, backoff: { type: 'custom' } };

/** The parts of an OTP that its job needs. */
export type QueuedOtp = Pick<Otp, 'id' | 'app' | 'to'> & {
  /** `traceMetadata` of the request. */
  trace?: string | undefined;
};

/** Jobs that have not been taken by a worker. */
export interface Backlog {
  single: number;
  /** Released lines of batches. */
  bulk: number;
  /** Single and bulk jobs delayed for a retry or an app on hold. They return behind the others. */
  delayed: number;
}

/** BullMQ's priority of released lines; single OTPs have none and come first. */
const bulkPriority = 1;

/** The send queue: one BullMQ queue, or several shards. */
export type SendOtpQueue = ReturnType<typeof createSendOtpQueue>;

/** BullMQ's queue of one shard. */
export type BullQueue = Queue<SendOtpPayload, SendOtpResult, typeof sendOtpJob>;

/** Deadline for reading the number of shards. */
const knownDeadlineMs = 1_000;

/** Processes with an earlier, larger number of shards may still add to an empty shard. */
const unusedForMs = 15 * 60_000;

/** Job states before the end. */
const notEnded = ['waiting', 'active', 'delayed', 'prioritized'] as const;

/** Old jobs deleted per call; larger ranges block Redis. */
const cleanBatch = 1_000;

function toNewJob({ id, app, to, trace }: QueuedOtp): NewJob {
  const data: SendOtpPayload = { id, app, to: to.masked };
  const telemetry = trace === undefined ? {} : { telemetry: { metadata: trace } };
  return { id, data, name: sendOtpJob, opts: { ...jobOptions, priority: 0, ...telemetry } };
}

/** The send queue, over a connection that suits the process. */
export function createSendOtpQueue(options: QueueConnection & { shards?: number }) {
  const { connection, onError, shards = 1 } = options;
  const open = (n: number): BullQueue => openQueue(shardName(n), { connection, onError });
  const opened = new Map<number, BullQueue>();
  const shard = (n: number): BullQueue => {
    const queue = opened.get(n) ?? open(n);
    opened.set(n, queue);
    return queue;
  };
  const ownQueues = Array.from({ length: shards }, (_, n) => shard(n));
  const shardOfId = shardOf(shards);
  const announce = once(() => announceShards(connection, shards));
  let seen = Array.from({ length: shards }, (_, n) => n);
  /** If the number cannot be read: the shards last seen. */
  const known = async () => {
    const reading = knownShards(connection, shards).then((found) => {
      seen = found;
    });
    await withTimeout(reading, knownDeadlineMs).catch(() => {});
    return seen;
  };
  const byShard = <O extends QueuedOtp>(otps: readonly O[]) => [
    ...Map.groupBy(otps, ({ id }) => shardOfId(id)),
  ];
  const isAnnounced = () =>
    announce().then(
      () => true,
      () => false,
    );
  const addPerShard = async <O extends QueuedOtp>(
    otps: readonly O[],
    add: (queue: BullQueue, ofShard: O[]) => Promise<void>,
  ) => {
    // Workers with the same number of shards process them anyway; the result says whether others know.
    const announced = await isAnnounced();
    await Promise.all(byShard(otps).map(([n, ofShard]) => add(shard(n), ofShard)));
    return announced;
  };
  const onKnownShards = async <T>(work: (queue: BullQueue) => Promise<T>): Promise<T[]> =>
    await Promise.all((await known()).map((n) => work(shard(n))));

  const createJobCall = (otp: QueuedOtp): JobCall => {
    const [call] = jobCalls(shard(shardOfId(otp.id)), [toNewJob(otp)]);
    if (!call) throw new Error('BullMQ produced no addStandardJob call');
    return call;
  };

  return {
    /** All shards so far, including unused ones, in which jobs may wait. */
    known,
    /**
     * Resolves with a function that makes the call that adds a single OTP's job in the step that admits it. Null on a
     * cluster, where its keys are in another slot, and while workers may not know its shard: then `add` has to be called.
     */
    jobCallFactory: async () => (connection.isCluster || !(await isAnnounced()) ? null : createJobCall),
    /** Those of these shards, beyond this process's own, that have held no job for a while. */
    emptied: async (among: readonly number[]) => {
      const others = among.filter((n) => n >= shards);
      // A shard that does not answer counts as in use.
      const isUnused = (n: number) =>
        withTimeout(unusedSince(connection, shard(n), Date.now() - unusedForMs), knownDeadlineMs);
      const unused = await Promise.all(others.map((n) => isUnused(n).catch(() => false)));
      return others.filter((_, i) => unused[i]);
    },
    /** The number of an OTP's shard. */
    shardOf: shardOfId,
    /** The shards of this process, in order. */
    queues: ownQueues as [BullQueue, ...BullQueue[]],
    /**
     * Adds single OTPs. Idempotent: a job with the OTP's id is added at most once. False: added, but perhaps to a shard
     * that no worker knows yet.
     */
    add: (...otps: readonly QueuedOtp[]) =>
      addPerShard(otps, (queue, some) => addJobs(connection, queue, some.map(toNewJob))),
    /** Adds released lines of a batch, a few hundred per call at most, behind single OTPs. Idempotent as well. */
    addBulk: (batch: string, otps: readonly QueuedOtp[]) =>
      addPerShard(otps, async (queue, ofShard) => {
        await queue.addBulk(
          ofShard.map(({ id, app, to }) => ({
            name: sendOtpJob,
            data: { id, app, to: to.masked, batch },
            opts: { ...jobOptions, jobId: id, priority: bulkPriority },
          })),
        );
      }),
    /**
     * Removes jobs of a batch that no worker has taken, after `putBack` has taken their OTPs. Resolves with their number,
     * which may be too low while workers take others.
     */
    recall: async (batch: string, putBack: (ids: readonly string[]) => Promise<void>) => {
      const recalled = await onKnownShards((queue) => recallFrom(queue, batch, putBack));
      return recalled.reduce((sum, count) => sum + count, 0);
    },
    /** Removes a job that has not ended; rejects if a worker holds it. */
    remove: async (id: string) => {
      await onKnownShards(async (queue) => {
        const job = await queue.getJob(id);
        if (job && job.finishedOn === undefined) await job.remove();
      });
    },
    /** Deletes a job in any state; false: a worker holds it, so it stays. */
    erase: async (id: string) => {
      await onKnownShards((queue) => queue.remove(id));
      const left = await onKnownShards((queue) => queue.getJob(id));
      return left.every((job) => job === undefined);
    },
    /**
     * Deletes jobs that ended before their OTP, then resolves with the OTPs without a job; `unsure`: those that may have
     * one in a shard that does not answer.
     */
    withoutJob: async <O extends QueuedOtp>(
      otps: readonly O[],
    ): Promise<{ missing: O[]; unsure: { otps: O[]; error: unknown } | null }> => {
      const found = new Set<string>();
      const failures: unknown[] = [];
      const check = async (n: number, some: readonly QueuedOtp[]) => {
        if (some.length === 0) return;
        const ids = await idsWithJob(connection, shard(n), some).catch((error: unknown) => {
          failures.push(error);
          return [];
        });
        for (const id of ids) found.add(id);
      };
      await Promise.all(byShard(otps).map(([n, ofShard]) => check(n, ofShard)));
      const rest = otps.filter(({ id }) => !found.has(id));
      if (rest.length === 0) return { missing: [], unsure: null };
      // Their jobs may be in another shard, from a time with more or fewer shards.
      const elsewhere = (n: number) => rest.filter(({ id }) => shardOfId(id) !== n);
      await Promise.all((await known()).map((n) => check(n, elsewhere(n))));
      const left = rest.filter(({ id }) => !found.has(id));
      if (failures.length === 0) return { missing: left, unsure: null };
      return { missing: [], unsure: { otps: left, error: failures[0] } };
    },
    /** The shard of the OTPs of a partition. */
    shardOfPartition: shardOfPartition(shards),
    /** Released lines that wait in each shard of this process that answers. */
    bulkByShard: async () => {
      const counts = ownQueues.map(async (queue, n) => {
        const { prioritized = 0 } = await withTimeout(queue.getJobCounts('prioritized'), knownDeadlineMs);
        return [n, prioritized] as const;
      });
      return new Map(await fulfilled(counts));
    },
    /** The backlog of the shards that answer. Rejects if none does. */
    backlog: async () => {
      const read = await fulfilled((await known()).map((n) => backlogOf(shard(n))));
      if (read.length === 0) throw new Error('Connection is closed: no shard answers.');
      const sum = (state: keyof Backlog) => read.reduce((total, each) => total + each[state], 0);
      return { single: sum('single'), bulk: sum('bulk'), delayed: sum('delayed') };
    },
    /** When the next single OTP of the shards that answer was added, in ms since 1970; null if none waits. */
    waitingSince: async () => {
      const found = await fulfilled((await known()).map((n) => waitingSince(connection, shard(n))));
      const times = found.filter((time) => time !== null);
      return times.length === 0 ? null : Math.min(...times);
    },
    /** Deletes jobs that ended more than `keepMs` ago: BullMQ does so only while jobs end. */
    clean: async (keepMs: number) => {
      await onKnownShards(async (queue) => {
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

async function backlogOf(queue: BullQueue): Promise<Backlog> {
  const counts = await queue.getJobCounts('waiting', 'delayed', 'prioritized');
  const { waiting = 0, delayed = 0, prioritized = 0 } = counts;
  return { single: waiting, bulk: prioritized, delayed };
}

/** When the next single OTP of one queue was added. */
async function waitingSince(redis: Redis | Cluster, queue: BullQueue): Promise<number | null> {
  const id = await redis.lindex(queue.toKey('wait'), -1);
  const added = id === null ? null : await redis.hget(queue.toKey(id), 'timestamp');
  return added === null ? null : Number(added);
}

/** Jobs read at a time to find those of a batch. */
const recalledAtATime = 500;

async function recallFrom(
  queue: BullQueue,
  batch: string,
  putBack: (ids: readonly string[]) => Promise<void>,
): Promise<number> {
  let recalled = 0;
  for (const state of ['prioritized', 'delayed'] as const) {
    for (let kept = 0; ; ) {
      const jobs = await queue.getJobs([state], kept, kept + recalledAtATime - 1, true);
      if (jobs.length === 0) break;
      const ids = jobs.flatMap(({ data }) => (data.batch === batch ? [data.id] : []));
      await putBack(ids);
      // A job that a worker has just taken stays: its OTP is sent, and its line is left out when its turn comes.
      const removed = await Promise.all(ids.map((id) => queue.remove(id).catch(() => 0)));
      const count = removed.filter((one) => one === 1).length;
      recalled += count;
      kept += jobs.length - count;
    }
  }
  return recalled;
}

/** True if every job of a queue ended before `moment`. */
async function unusedSince(redis: Redis | Cluster, queue: BullQueue, moment: number): Promise<boolean> {
  const [left, ...ended] = await Promise.all([
    queue.getJobCountByTypes(...notEnded),
    ...['completed', 'failed'].map((state) => redis.zcount(queue.toKey(state), moment, '+inf')),
  ]);
  return left === 0 && ended.every((count) => count === 0);
}

/** Deletes jobs that ended before their OTP; resolves with the ids of OTPs that still have one. */
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

/** The current trace as a job carries it to its worker (W3C trace context), if any. */
export function traceMetadata(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  const { traceparent } = carrier;
  // `tracestate` is left out: callers control it, and Bull Board shows jobs.
  return traceparent === undefined ? undefined : JSON.stringify({ traceparent });
}
