import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { type JobsOptions, Queue } from 'bullmq';
import express from 'express';
import helmet from 'helmet';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Pool } from 'undici';
import { z } from 'zod';
import { parentPort } from './support/child.js';

/*
 * What a good engineer would write in a few lines: Express, zod, `queue.add`, and a call to the provider to verify. With
 * COUNTERPART=usual, what a good team would put into production: security headers, a key check, a request id, a log line
 * for each request, jobs that are retried, and two durable writes for each verification, which count attempts.
 */

const {
  REDIS_URL: redisUrl = '',
  ISMS_URL: ismsUrl = '',
  API_KEY: apiKey = '',
  COUNTERPART: counterpart = '',
} = process.env;
const isUsual = counterpart === 'usual';
const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
const queue = new Queue(counterpart, { connection: redis });
const jobOptions: JobsOptions = isUsual
  ? { attempts: 5, backoff: { type: 'exponential', delay: 1_000 } }
  : {};
const endpoint = new URL(ismsUrl);
const provider = new Pool(endpoint.origin, { connections: 64 });
const maxAttempts = 5;
const keptSeconds = 600;

const otpRequest = z.strictObject({
  to: z.string().max(40),
  message: z.string().max(1_000).optional(),
  reference: z.string().max(100).optional(),
});
const bulkRequest = z.strictObject({
  defaults: otpRequest.partial().optional(),
  otps: z.array(otpRequest).max(10_000),
});

const app = express();
if (isUsual) {
  const logger = pino();
  const digestOf = (key: string) => createHash('sha256').update(key).digest();
  const expected = digestOf(`Bearer ${apiKey}`);
  app.use(helmet());
  app.use((req, res, next) => {
    const [requestId, began] = [randomUUID(), performance.now()];
    res.setHeader('x-request-id', requestId);
    res.on('finish', () => {
      const ms = Math.round(performance.now() - began);
      logger.info({ requestId, method: req.method, path: req.path, status: res.statusCode, ms }, 'request');
    });
    if (timingSafeEqual(digestOf(req.headers.authorization ?? ''), expected)) return next();
    res.status(401).json({ code: 'unauthorized' });
  });
}
app.use(express.json({ limit: '10mb' }));

app.post('/v1/otps', async (req, res) => {
  const request = otpRequest.safeParse(req.body);
  if (!request.success) return void res.status(400).json({ code: 'invalid_request' });
  const job = await queue.add('send', request.data, jobOptions);
  res.status(202).json({ id: job.id, status: 'queued', ...request.data });
});

app.post('/v1/otps/bulk', async (req, res) => {
  const request = bulkRequest.safeParse(req.body);
  if (!request.success) return void res.status(400).json({ code: 'invalid_request' });
  const { defaults, otps } = request.data;
  const jobs = otps.map((otp) => ({ name: 'send', data: { ...defaults, ...otp }, opts: jobOptions }));
  const added = await queue.addBulk(jobs);
  res.status(202).json({ accepted: added.length, ids: added.map(({ id }) => id) });
});

app.post('/verify', async (req, res) => {
  const { mobile, uuid, smsId, code } = req.body;
  if (isUsual) {
    const key = `attempts:${uuid}`;
    const [[, attempts] = []] = (await redis.multi().incr(key).expire(key, keptSeconds).exec()) ?? [];
    if (Number(attempts) > maxAttempts) return void res.status(429).json({ code: 'too_many_attempts' });
  }
  const query = new URLSearchParams({ un: 'tester', pass: 'secret', mobile, country_code: '60', code, uuid });
  query.append('method', 'verify');
  query.append('sms_id', smsId);
  const { body } = await provider.request({ method: 'GET', path: `${endpoint.pathname}?${query}` });
  const { status } = (await body.json()) as { status: string };
  if (isUsual) await redis.set(`status:${uuid}`, status, 'EX', keptSeconds);
  res.status(status === 'Verified' ? 200 : 422).json({ status });
});

const port = parentPort(() => null);
const server = app.listen(0, '127.0.0.1', () => port.ready(server.address()));
