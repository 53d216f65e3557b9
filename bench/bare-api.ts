import { Queue } from 'bullmq';
import express from 'express';
import { Redis } from 'ioredis';
import { Pool } from 'undici';
import { z } from 'zod';
import { parentPort } from './support/child.js';

/* What a good engineer would write in a few lines: Express, zod, `queue.add`, and a call to the provider to verify. */

const { REDIS_URL: redisUrl = '', ISMS_URL: ismsUrl = '' } = process.env;
const queue = new Queue('bare', { connection: new Redis(redisUrl, { maxRetriesPerRequest: null }) });
const endpoint = new URL(ismsUrl);
const provider = new Pool(endpoint.origin, { connections: 64 });

const otpRequest = z.strictObject({
  to: z.string().max(40),
  message: z.string().max(1_000).optional(),
  reference: z.string().max(100).optional(),
});

const app = express();
app.use(express.json());

app.post('/v1/otps', async (req, res) => {
  const request = otpRequest.safeParse(req.body);
  if (!request.success) return void res.status(400).json({ code: 'invalid_request' });
  const job = await queue.add('send', request.data);
  res.status(202).json({ id: job.id, status: 'queued', ...request.data });
});

app.post('/verify', async (req, res) => {
  const { mobile, uuid, smsId, code } = req.body;
  const query = new URLSearchParams({ un: 'tester', pass: 'secret', mobile, country_code: '60', code, uuid });
  query.append('method', 'verify');
  query.append('sms_id', smsId);
  const { body } = await provider.request({ method: 'GET', path: `${endpoint.pathname}?${query}` });
  const { status } = (await body.json()) as { status: string };
  res.status(status === 'Verified' ? 200 : 422).json({ status });
});

const port = parentPort(() => null);
const server = app.listen(0, '127.0.0.1', () => port.ready(server.address()));
