import { type JobsOptions, Queue } from 'bullmq';
import type { CounterpartSend } from '../counterpart-worker.js';
import { type Child, startChild } from './child.js';
import { until } from './clock.js';
import { message } from './gateway.js';
import { apiKey, waitingWorkers } from './gateway-processes.js';
import { nthNational } from './numbers.js';
import type { Stand } from './stand.js';

/** `bare`: a few lines of Express, BullMQ and undici; `usual`: what a good team would put into production. */
export type CounterpartKind = 'bare' | 'usual';

/** A counterpart on a stand. */
export interface Counterpart {
  queue: Queue<CounterpartSend>;
  startApi(): Promise<Child>;
  /** Resolves once it waits for jobs. */
  startWorker(concurrency?: number): Promise<Child>;
  /** Enqueues `count` jobs, each to a number of its own. */
  fill(count: number): Promise<void>;
  drained(): Promise<void>;
}

export function createCounterpart(stand: Stand, kind: CounterpartKind): Counterpart {
  const queue = new Queue<CounterpartSend>(kind, { connection: stand.client });
  stand.add(queue, (open) => open.close());
  const env = {
    REDIS_URL: stand.redisUrl,
    ISMS_URL: stand.provider.endpoint,
    API_KEY: apiKey,
    COUNTERPART: kind,
  };
  const opts: JobsOptions =
    kind === 'usual' ? { attempts: 5, backoff: { type: 'exponential', delay: 1_000 } } : {};
  const start = async (name: string, more: Record<string, string> = {}) =>
    stand.add(await startChild(name, { ...env, ...more }), (child) => child.end());
  return {
    queue,
    startApi: () => start('counterpart-api'),
    startWorker: async (concurrency = 50) => {
      const before = await waitingWorkers(stand);
      const worker = await start('counterpart-worker', { CONCURRENCY: String(concurrency) });
      await until('the worker waits', 10_000, async () => (await waitingWorkers(stand)) === before + 1);
      return worker;
    },
    fill: async (count) => {
      for (let first = 0; first < count; first += 1_000) {
        const size = Math.min(1_000, count - first);
        await queue.addBulk(Array.from({ length: size }, (_, i) => ({ ...counterpartJob(first + i), opts })));
      }
    },
    drained: () =>
      until('all jobs are done', 60_000, async () => {
        return (await queue.getJobCountByTypes('waiting', 'active', 'delayed')) === 0;
      }),
  };
}

/** The job of the n-th number's OTP. */
export function counterpartJob(n: number): { name: string; data: CounterpartSend } {
  return { name: 'send', data: { to: nthNational(n), message } };
}
