import { type Job, Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';

/** Every queue, by its name in Redis and in Bull Board. */
export const queueNames = { sendOtp: 'otp-send', balance: 'balance', webhook: 'webhook' } as const;

/** In front of every key of every queue; the braces keep them in one slot of a Redis Cluster. */
export const queuePrefix = '{isms}';

/** Events of a queue are kept for watching, not for work: BullMQ's default of 10,000 only takes memory. */
const streams = { events: { maxLen: 1_000 } } as const;

export interface QueueConnection {
  connection: Redis | Cluster;
  /** Hears of connection trouble, which BullMQ would otherwise print past every log. */
  onError: (error: Error) => void;
}

/** One of the queues, over a connection that others use, too. */
export function openQueue<Data, Result, Name extends string>(
  { name, prefix = queuePrefix }: { name: string; prefix?: string },
  { connection, onError }: QueueConnection,
): Queue<Data, Result, Name> {
  const queue = new Queue(name, { connection, prefix, streams }).on('error', onError);
  return queue as unknown as Queue<Data, Result, Name>;
}

export const balanceJob = 'record-balance';

/** A job's return value: the snapshot it recorded. */
export interface BalanceResult {
  credits: number;
  expiresOn: string | null;
}

export type BalanceJob = Job<Record<string, never>, BalanceResult, typeof balanceJob>;

export interface BalanceQueue {
  /** One snapshot each period, however many processes ask for the schedule, and however often. */
  schedule(periodMs: number): Promise<void>;
  queue: Queue<Record<string, never>, BalanceResult, typeof balanceJob>;
}

/** The queue of balance snapshots. */
export function createBalanceQueue(
  connection: Redis | Cluster,
  onError: (error: Error) => void,
): BalanceQueue {
  const queue: BalanceQueue['queue'] = openQueue({ name: queueNames.balance }, { connection, onError });
  return {
    queue,
    schedule: async (periodMs) => {
      await queue.upsertJobScheduler(balanceJob, { every: periodMs }, { name: balanceJob, data: {} });
    },
  };
}
