import { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';

/** Names of the queues in Redis and Bull Board. */
export const queueNames = {
  sendOtp: 'otp-send',
  batch: 'otp-batch',
  balance: 'balance',
  webhook: 'webhook',
} as const;

/** Prefix of every key; the braces keep the keys in one slot of a Redis Cluster. */
export const queuePrefix = '{isms}';

/** Queue events serve observation only; BullMQ's default of 10,000 wastes memory. */
const streams = { events: { maxLen: 1_000 } } as const;

export interface QueueConnection {
  connection: Redis | Cluster;
  /** Called for connection errors, which BullMQ would otherwise print to the console. */
  onError: (error: Error) => void;
}

/** Opens a queue on a shared connection. */
export function openQueue<Data, Result, Name extends string>(
  { name, prefix = queuePrefix }: { name: string; prefix?: string },
  { connection, onError }: QueueConnection,
): Queue<Data, Result, Name> {
  const queue = new Queue(name, { connection, prefix, streams }).on('error', onError);
  return queue as unknown as Queue<Data, Result, Name>;
}

export const balanceJob = 'record-balance';

/** A job's return value: the recorded snapshot. */
export interface BalanceResult {
  credits: number;
  expiresOn: string | null;
}

export type BalanceQueue = ReturnType<typeof createBalanceQueue>;

/** The queue of balance snapshots. */
export function createBalanceQueue(connection: Redis | Cluster, onError: (error: Error) => void) {
  const queue: Queue<Record<string, never>, BalanceResult, typeof balanceJob> = openQueue(
    { name: queueNames.balance },
    { connection, onError },
  );
  return {
    queue,
    /** Schedules one snapshot per period; idempotent across processes. */
    schedule: async (periodMs: number) => {
      await queue.upsertJobScheduler(balanceJob, { every: periodMs }, { name: balanceJob, data: {} });
    },
  };
}
