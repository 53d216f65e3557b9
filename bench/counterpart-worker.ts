import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { request } from 'undici';
import { parentPort } from './support/child.js';
import { nowMs } from './support/clock.js';

/*
 * What a good engineer would write in a few lines: a BullMQ worker that asks the provider. With COUNTERPART=usual, it
 * also writes the OTP's status before and after, and a log line.
 */

/** What a job says. */
export interface CounterpartSend {
  to: string;
  message: string;
}

const {
  REDIS_URL: redisUrl = '',
  ISMS_URL: ismsUrl = '',
  CONCURRENCY: concurrency = '',
  COUNTERPART: counterpart = '',
} = process.env;
const isUsual = counterpart === 'usual';
const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
const logger = pino();
/** When the newest jobs were begun, for the one row that asks. */
const starts = new Map<string, number>();
const startsKept = 1_000;

const worker = new Worker<CounterpartSend>(
  counterpart,
  async ({ id, data: { to, message } }) => {
    if (starts.size < startsKept) starts.set(to, nowMs());
    if (isUsual) await redis.hset(`otp:${id}`, { status: 'sending' });
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
    if (isUsual) {
      await redis.hset(`otp:${id}`, { status: 'sent', uuid: uuid ?? '', smsId: sms_id ?? '' });
      logger.info({ id, status: 'sent' }, 'send settled');
    }
    return { uuid, smsId: sms_id };
  },
  { connection: redis.duplicate(), concurrency: Number(concurrency) },
);

const port = parentPort(() => {
  const found = [...starts];
  starts.clear();
  return found;
});
await worker.waitUntilReady();
port.ready(null);
