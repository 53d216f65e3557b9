import type { Job, Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { openQueue, queueNames } from './queues.js';

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
