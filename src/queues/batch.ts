import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { batchId } from '../otp/otp-id.js';
import { openQueue, queueNames } from './queues.js';

export const batchJob = 'release-batch';

/** A job's data: the batch's id, its app and its name. */
export interface BatchPayload {
  id: string;
  batch: string;
  app: string;
  name: string | null;
}

/** A job's return value: the lines of the upload. */
export interface BatchResult {
  lines: number;
}

export type BatchJob = Job<BatchPayload, BatchResult, typeof batchJob>;

const cleanedAtATime = 1_000;
const wakeTries = 20;
const wakeAgainMs = 50;
/** A batch behind another of its app is woken when it is the first in line. */
export const behindForMs = 600_000;

/** Attempts cover failures of the gateway, such as a lost Redis. */
const jobOptions = { attempts: 1_000_000, backoff: { type: 'custom' } };

/** The queue of batches: one job for each batch that has lines to release. */
export type BatchQueue = ReturnType<typeof createBatchQueue>;

/** Changes the delay of a job; false unless it is delayed. */
const reschedule = (job: BatchJob, afterMs = 0): Promise<boolean> =>
  (afterMs > 0 ? job.changeDelay(afterMs) : job.promote()).then(
    () => true,
    () => false,
  );

export function createBatchQueue(connection: Redis | Cluster, onError: (error: Error) => void) {
  const queue: Queue<BatchPayload, BatchResult, typeof batchJob> = openQueue(
    { name: queueNames.batch },
    { connection, onError },
  );
  return {
    queue,
    /** Adds the batch's job unless it has one that has not ended. `delayMs`: until its first turn. */
    ensure: async (
      { batch, app }: { batch: string; app: string },
      rest: () => Promise<{ name: string | null; delayMs: number }>,
    ) => {
      const id = batchId(batch);
      const [added, ended] = await connection.hmget(queue.toKey(id), 'timestamp', 'finishedOn');
      if (typeof added === 'string' && typeof ended !== 'string') return;
      // BullMQ ignores a job whose id is known, also of one that ended.
      if (typeof ended === 'string') await queue.remove(id);
      const { name, delayMs } = await rest();
      await queue.add(batchJob, { id, batch, app, name }, { ...jobOptions, jobId: id, delay: delayMs });
    },
    /** Deletes jobs that ended more than `keepMs` ago. */
    clean: async (keepMs: number) => {
      for (const state of ['completed', 'failed'] as const) await queue.clean(keepMs, cleanedAtATime, state);
    },
    job: (batch: string) => queue.getJob(batchId(batch)),
    /**
     * Starts the batch's next turn after a change, at once or after so many ms. Waits for a running turn, which may have
     * missed the change.
     */
    wake: async (batch: string, afterMs = 0) => {
      const job = await queue.getJob(batchId(batch));
      for (let tries = 0; job && tries < wakeTries; tries++) {
        if (await reschedule(job, afterMs)) return;
        const state = await job.getState();
        // The running turn may have missed the change.
        if (state === 'active') await sleep(wakeAgainMs);
        else if (state !== 'delayed') return;
      }
    },
    /** Wakes the job only if it is delayed. */
    wakeIdle: async (batch: string) => {
      const job = await queue.getJob(batchId(batch));
      if (job) await reschedule(job);
    },
  };
}
