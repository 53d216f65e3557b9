import { Queue } from 'bullmq';
import type { BareSend } from '../bare-worker.js';
import { type Child, startChild } from './child.js';
import { until } from './clock.js';
import { message } from './gateway.js';
import { waitingWorkers } from './gateway-processes.js';
import { nthNational } from './numbers.js';
import type { Stand } from './stand.js';

/** The bare counterparts on a stand. */
export interface Bare {
  queue: Queue<BareSend>;
  startApi(): Promise<Child>;
  /** Resolves once it waits for jobs. */
  startWorker(concurrency?: number): Promise<Child>;
  /** Enqueues `count` jobs, each to a number of its own. */
  fill(count: number): Promise<void>;
  drained(): Promise<void>;
}

export function createBare(stand: Stand): Bare {
  const queue = stand.add(new Queue<BareSend>('bare', { connection: stand.client }), (open) => open.close());
  const env = { REDIS_URL: stand.redisUrl, ISMS_URL: stand.provider.endpoint };
  const start = async (name: string, more: Record<string, string> = {}) =>
    stand.add(await startChild(name, { ...env, ...more }), (child) => child.end());
  return {
    queue,
    startApi: () => start('bare-api'),
    startWorker: async (concurrency = 50) => {
      const before = await waitingWorkers(stand);
      const worker = await start('bare-worker', { CONCURRENCY: String(concurrency) });
      await until('the bare worker waits', 10_000, async () => (await waitingWorkers(stand)) === before + 1);
      return worker;
    },
    fill: async (count) => {
      for (let first = 0; first < count; first += 1_000) {
        const size = Math.min(1_000, count - first);
        await queue.addBulk(Array.from({ length: size }, (_, i) => bareJob(first + i)));
      }
    },
    drained: () =>
      until('all bare jobs are done', 60_000, async () => {
        return (await queue.getJobCountByTypes('waiting', 'active', 'delayed')) === 0;
      }),
  };
}

/** The job of the n-th number's OTP. */
export function bareJob(n: number): { name: string; data: BareSend } {
  return { name: 'send', data: { to: nthNational(n), message } };
}
