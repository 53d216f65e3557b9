import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { request } from 'undici';
import { parentPort } from './support/child.js';
import { nowMs } from './support/clock.js';

/* What a good engineer would write in a few lines: a BullMQ worker that asks the provider. */

/** What a bare job says. */
export interface BareSend {
  to: string;
  message: string;
}

const { REDIS_URL: redisUrl = '', ISMS_URL: ismsUrl = '', CONCURRENCY: concurrency = '' } = process.env;
/** When the newest jobs were begun, for the one row that asks. */
const starts = new Map<string, number>();
const startsKept = 1_000;

const worker = new Worker<BareSend>(
  'bare',
  async ({ data: { to, message } }) => {
    if (starts.size < startsKept) starts.set(to, nowMs());
    const query = new URLSearchParams({
      un: 'tester',
      pass: 'secret',
      mobile: to,
      country_code: '60',
      message,
    });
    const { body } = await request(`${ismsUrl}?${query}&type=1`);
    const { status, uuid, sms_id } = (await body.json()) as Record<string, string>;
    if (status !== 'Success') throw new Error('not sent');
    return { uuid, smsId: sms_id };
  },
  {
    connection: new Redis(redisUrl, { maxRetriesPerRequest: null }),
    concurrency: Number(concurrency),
  },
);

const port = parentPort(() => {
  const found = [...starts];
  starts.clear();
  return found;
});
await worker.waitUntilReady();
port.ready(null);
