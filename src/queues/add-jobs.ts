import type { IRedisTransaction, Queue, RedisQueueBackend } from 'bullmq';
import { addPrioritizedJob } from 'bullmq/dist/esm/scripts/addPrioritizedJob-9.js';
import { addStandardJob } from 'bullmq/dist/esm/scripts/addStandardJob-9.js';
import type { Cluster, Redis } from 'ioredis';
import { type RedisScript, redisScript } from '../lib/redis-script.js';

/** Priority 0 comes before all others. */
export interface NewJob {
  id: string;
  name: string;
  data: object;
  opts: {
    attempts: number;
    backoff: { type: string };
    priority: number;
    telemetry?: { metadata: string };
  };
}

/** Arguments per job: its fields, its data, its options. */
const argsPerJob = 3;

/** One of BullMQ's functions, in a loop over many jobs, with the number of its keys. */
function forMany({ content, keys }: typeof addStandardJob): { call: RedisScript; keys: number } {
  const source = [
    `local function add(KEYS, ARGV)\n${content}\nend`,
    `for i = 1, #ARGV, ${argsPerJob} do add(KEYS, { unpack(ARGV, i, i + ${argsPerJob - 1}) }) end`,
  ].join('\n');
  return { call: redisScript(source), keys };
}

const scripts = { standard: forMany(addStandardJob), prioritized: forMany(addPrioritizedJob) };

/**
 * Adds jobs, all with or all without a priority, in one call, each at most once. `queue.addBulk` calls the same function
 * of BullMQ once per job, which costs this process five times as much (measured, ADR 18). Not atomic: jobs added before an
 * error stay.
 */
export async function addJobs(redis: Redis | Cluster, queue: Queue, jobs: readonly NewJob[]): Promise<void> {
  const [first] = jobs;
  if (!first) return;
  const { call, keys } = first.opts.priority > 0 ? scripts.prioritized : scripts.standard;
  const calls = record(queue, jobs);
  await call(
    redis,
    calls[0]?.slice(0, keys) ?? [],
    calls.flatMap((args) => args.slice(keys)),
  );
}

/** Keys and arguments of BullMQ's own call for each job. */
function record(queue: Queue, jobs: readonly NewJob[]): (string | Buffer)[][] {
  const calls: (string | Buffer)[][] = [];
  const recorder = {
    runCommand: (_name: string, args: (string | Buffer)[]) => {
      calls.push(args);
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
