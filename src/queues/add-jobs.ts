import type { IRedisTransaction, Queue, RedisQueueBackend } from 'bullmq';
import { addStandardJob } from 'bullmq/dist/esm/scripts/addStandardJob-9.js';
import type { Cluster, Redis } from 'ioredis';
import { redisScript } from '../lib/redis-script.js';

export interface NewJob {
  id: string;
  name: string;
  data: object;
  opts: {
    attempts: number;
    backoff: { type: string };
    priority: 0;
    telemetry?: { metadata: string };
  };
}

/** Arguments per job: its fields, its data, its options. */
const argsPerJob = 3;

/** BullMQ's Lua function that adds a job without a priority. */
export const addJobFunction = `local function add_job(KEYS, ARGV)\n${addStandardJob.content}\nend\n`;

/** BullMQ's function in a loop over many jobs. */
const addStandardJobs = redisScript(
  `${addJobFunction}for i = 1, #ARGV, ${argsPerJob} do add_job(KEYS, { unpack(ARGV, i, i + ${argsPerJob - 1}) }) end`,
);

/**
 * Adds jobs without a priority in one call, each at most once. `queue.addBulk` calls the same function of BullMQ once per
 * job, which costs this process five times as much (measured, ADR 18). Not atomic: jobs added before an error stay.
 */
export async function addJobs(redis: Redis | Cluster, queue: Queue, jobs: readonly NewJob[]): Promise<void> {
  if (jobs.length === 0) return;
  const calls = jobCalls(queue, jobs);
  await addStandardJobs(
    redis,
    calls[0]?.keys ?? [],
    calls.flatMap(({ args }) => args),
  );
}

/** A call of `addJobFunction`. */
export interface JobCall {
  keys: string[];
  args: (string | Buffer)[];
}

/** BullMQ's own call for each job. */
export function jobCalls(queue: Queue, jobs: readonly NewJob[]): JobCall[] {
  const calls: JobCall[] = [];
  const recorder = {
    runCommand: (_name: string, args: (string | Buffer)[]) => {
      const { keys } = addStandardJob;
      calls.push({ keys: args.slice(0, keys).map(String), args: args.slice(keys) });
      return recorder;
    },
  } as unknown as IRedisTransaction;
  const backend = queue.backend as RedisQueueBackend;
  const timestamp = Date.now();
  for (const { id, name, data, opts } of jobs) {
    const job = { id, name, data: JSON.stringify(data), opts, timestamp };
    void backend.addJobToTransaction(recorder, job as never, id);
  }
  return calls;
}
