import { createGateway as createGatewayParts } from '../../src/main/gateway.js';
import { createLifecycle } from '../../src/main/lifecycle.js';
import { load } from '../../src/main/load.js';
import type { Otp } from '../../src/otp/otp.js';
import type { BullQueue, SendOtpQueue } from '../../src/queues/send-otp.js';
import type { Store } from '../../src/store/store.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { request } from '../../test/support/otps.js';
import { gatewayEnvironment } from '../../test/support/processes.js';
import { inBatches } from './batches.js';
import { sleep, until } from './clock.js';
import { app, createProcesses, type Processes } from './gateway-processes.js';
import { nthNumber } from './numbers.js';
import type { Stand } from './stand.js';

/** The gateway on a stand: its processes as they are shipped, and ways to give them work. */
export interface Gateway extends Processes {
  store: Store;
  queue: SendOtpQueue;
  /** Admits and enqueues `count` OTPs, each to a number of its own. */
  fill(count: number): Promise<Otp[]>;
  /** Waits until no job waits or runs. */
  drained(): Promise<void>;
}

/** What a usual request says. */
export const message =
  'Your Kedai Kita code is %OTP%. It is valid for 5 minutes. Do not share it with anyone.';

/** Store and queue have the same settings as the processes: all defaults. */
export function createGateway(stand: Stand): Gateway {
  const env = gatewayEnvironment(stand.redisUrl, stand.provider);
  const lifecycle = stand.add(
    createLifecycle(() => {}),
    (open) => open.close(),
  );
  const { store, sendOtpQueue: queue } = createGatewayParts(load(env, 'worker'), {
    ...{ redis: stand.client, logger: silent, metrics: createMetrics('0.0.0'), lifecycle },
  });
  stand.add(queue, (open) => open.close());
  return {
    ...createProcesses(stand, env),
    store,
    queue,
    fill: (count) =>
      inBatches(count, async (n) => {
        const otp = await admit(store, n);
        await queue.add(otp);
        return otp;
      }),
    drained: async () => {
      await until('all jobs are done', 60_000, async () => (await unfinished(queue)) === 0);
      // What is counted on the side, after a job, may still be on its way.
      await sleep(50);
    },
  };
}

const silent = { info: () => {}, warn: () => {}, error: () => {} };

async function unfinished({ queues }: SendOtpQueue): Promise<number> {
  const count = (queue: BullQueue) => queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized');
  const counts = await Promise.all(queues.map(count));
  return counts.reduce((sum, jobs) => sum + jobs, 0);
}

/** The n-th number's OTP, admitted and not enqueued. */
export async function admit(store: Store, n: number): Promise<Otp> {
  const asked = request({ app, to: nthNumber(n), message, sendDeadlineSeconds: 3_600 });
  const admission = await store.otps.admit(asked, null);
  if (admission.kind !== 'created') throw new Error(`not admitted: ${admission.kind}`);
  return admission.otp;
}
