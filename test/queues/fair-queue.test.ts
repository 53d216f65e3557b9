import { Worker } from 'bullmq';
import { expect, it } from 'vitest';
import { partitions } from '../../src/otp/otp-id.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { number, sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const queue = createSendOtpQueue({ connection: redis, onError: () => {} });
let next = 0;
const otps = (app: string, count: number) =>
  Array.from({ length: count }, () => ({
    id: `otp_${partitions[0]}${String(next++).padStart(22, '0')}`,
    app,
    to: number(),
  }));

/** The apps of the jobs that a worker gets, in the order in which it gets them. */
async function served(count: number): Promise<string[]> {
  const apps: string[] = [];
  const worker = new Worker(queue.queues[0].name, async (job) => void apps.push(job.data.app), {
    connection: redis.duplicate({ maxRetriesPerRequest: null }),
    prefix: '{isms}',
    concurrency: 1,
  });
  while (apps.length < count) await sleep(10);
  await worker.close();
  return apps;
}

it('a single OTP overtakes bulk, and a small batch of one app overtakes the large one of another', async () => {
  for (let i = 0; i < 5; i++) await queue.addBulk('large', otps('large', 200));
  await queue.addBulk('small', otps('small', 100));
  const [single] = otps('single', 1);
  if (single) await queue.add(single);
  expect(await queue.backlog()).toMatchObject({ single: 1, bulk: 1_100 });
  expect((await queue.backlog()).bulkByApp).toEqual(
    new Map([
      ['large', 1_000],
      ['small', 100],
    ]),
  );
  const apps = await served(1_101);
  expect(apps[0]).toBe('single');
  expect(apps.lastIndexOf('small')).toBeLessThan(250);
});

it('a new app starts at the place being served, and first in an empty queue', async () => {
  await queue.addBulk('large', otps('large', 400));
  const first = await served(300);
  await queue.addBulk('small', otps('small', 50));
  const { bulkByApp } = await queue.backlog();
  expect(bulkByApp.get('small')).toBe(50);
  expect(bulkByApp.get('large')).toBeLessThanOrEqual(100);
  const rest = await served(450 - first.length);
  expect(rest.filter((app) => app === 'small')).toHaveLength(50);
  expect(rest.lastIndexOf('small')).toBeLessThan(120);
  expect((await queue.backlog()).bulkByApp.size).toBe(0);
});
