import { Worker } from 'bullmq';
import { afterEach, describe, expect, it } from 'vitest';
import { createBatchQueue } from '../../../src/queues/batch.js';
import { createSendOtpQueue } from '../../../src/queues/send-otp.js';
import { admin, expectProblem, type Gateway, startGateway } from '../gateway.js';

const gateway = await startGateway({
  dependencies: { admin: { ...admin, actions: true } },
});
const [queue] = createSendOtpQueue({ connection: gateway.redis, onError: () => {} }).queues;
const board = '/admin/queues/api/queues';
const basic = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
const call = (method: string, path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  gateway.call(method, `/admin/queues/api${path}`, { key: null, body, headers: { ...basic, ...headers } });
const put = (path: string) => call('PUT', `/queues${path}`);

afterEach(async () => {
  await gateway.redis.flushdb();
  await queue.waitUntilReady();
});

let ids = 0;

/** Adds a job without an OTP. */
async function addJob(options: { delay?: number; attempts?: number } = {}) {
  ids += 1;
  const data = { id: `otp_${ids}`, app: 'shop', to: '+60******789' };
  return await queue.add('send-otp', data, { jobId: data.id, ...options });
}

/** Adds a job that has failed for good. */
async function addFailedJob() {
  const added = await addJob({ attempts: 1 });
  const connection = gateway.redis.duplicate({ maxRetriesPerRequest: null });
  const worker = new Worker(queue.name, null, { connection, prefix: queue.opts.prefix ?? '' });
  const job = await worker.getNextJob('token', { block: false });
  await job?.moveToFailed(new Error('for good'), 'token', false);
  await worker.close();
  connection.disconnect();
  return added;
}

/** Everything in Redis about the queues but their event streams. */
async function stateOf({ redis }: Gateway): Promise<Record<string, string>> {
  const keys = (await redis.keys('{isms}:*')).filter((key) => !key.endsWith(':events')).sort();
  const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
  return Object.fromEntries(keys.map((key, i) => [key, dumps[i]?.toString('base64') ?? '']));
}

describe('with ADMIN_ACTIONS an operator', () => {
  it('sees the actions offered', async () => {
    const { json } = await gateway.call('GET', board, { key: null, headers: basic });
    const { queues } = json as { queues: { readOnlyMode: boolean }[] };
    expect(queues.map(({ readOnlyMode }) => readOnlyMode)).toEqual([false, false, false, false]);
  });

  it('pauses and resumes one queue or all', async () => {
    for (const path of ['', '/otp-send']) {
      expect((await put(`${path}/pause`)).status).toBe(200);
      expect(await queue.isPaused()).toBe(true);
      expect((await put(`${path}/resume`)).status).toBe(200);
      expect(await queue.isPaused()).toBe(false);
    }
  });

  it('retries one failed job or all', async () => {
    const [one, other] = [await addFailedJob(), await addFailedJob()];
    expect((await put(`/otp-send/${one.id}/retry`)).status).toBe(204);
    expect([await one.getState(), await other.getState()]).toEqual(['waiting', 'failed']);
    expect((await put('/otp-send/retry/failed')).json).toEqual({ retried: 1, skipped: 0 });
    expect(await other.getState()).toBe('waiting');
  });

  it('promotes one delayed job or all', async () => {
    const [one, other] = [await addJob({ delay: 60_000 }), await addJob({ delay: 60_000 })];
    expect((await put(`/otp-send/${one.id}/promote`)).status).toBe(204);
    expect([await one.getState(), await other.getState()]).toEqual(['waiting', 'delayed']);
    expect((await put('/otp-send/promote')).status).toBe(200);
    expect(await other.getState()).toBe('waiting');
  });

  it('removes one job, or every waiting one', async () => {
    const failed = await addFailedJob();
    const [one, other] = [await addJob(), await addJob()];
    expect((await put(`/otp-send/${one.id}/clean`)).status).toBe(204);
    expect([await one.getState(), await other.getState()]).toEqual(['unknown', 'waiting']);
    expect((await put('/otp-send/empty')).status).toBe(200);
    expect([await other.getState(), await failed.getState()]).toEqual(['unknown', 'failed']);
  });
});

describe('the tabs of a queue', () => {
  it('are the states that its jobs can have', async () => {
    const { json } = await gateway.call('GET', board, { key: null, headers: basic });
    const { queues } = json as { queues: { name: string; statuses: string[] }[] };
    const tabs = Object.fromEntries(queues.map(({ name, statuses }) => [name, statuses]));
    const common = ['latest', 'active', 'waiting', 'completed', 'failed', 'delayed'];
    expect(new Set(tabs['otp-send'])).toEqual(new Set([...common, 'prioritized']));
    expect(new Set(tabs['otp-batch'])).toEqual(new Set(common));
    expect(new Set(tabs['balance'])).toEqual(new Set(common));
    expect(new Set(tabs['webhook'])).toEqual(new Set(common));
  });
});

describe('the job of a batch', () => {
  it.each([
    ['Friday', 'Friday (shop)'],
    [null, 'Batch (shop)'],
  ])(
    'has the name and app of the batch as its title, and a link to the overview: %s',
    async (name, title) => {
      const batch = { batch: 'Q8sXk5TzGw2bVr0Yc1Jm3n', app: 'shop' };
      await createBatchQueue(gateway.redis, () => {}).ensure(batch, async () => ({ name, delayMs: 0 }));
      const { json } = await gateway.call('GET', `${board}?activeQueue=otp-batch`, {
        key: null,
        headers: basic,
      });
      const { queues } = json as { queues: { name: string; jobs: object[] }[] };
      expect(queues.find((one) => one.name === 'otp-batch')?.jobs).toEqual([
        expect.objectContaining({
          name: title,
          externalUrl: { displayText: 'Batch in the overview', href: '/admin#batch_Q8sXk5TzGw2bVr0Yc1Jm3n' },
        }),
      ]);
    },
  );
});

describe('403', () => {
  it.each([
    ['POST', '/queues/otp-send/add', { name: 'send-otp', data: {}, options: {} }],
    ['PATCH', '/queues/otp-send/ID/update-data', { jobData: { id: 'other' } }],
    ['PATCH', '/queues/otp-send/ID/delay', { runAt: 1 }],
    ['PATCH', '/queues/otp-send/ID/priority', { priority: 1 }],
    ['PUT', '/queues/otp-send/ID/remove-unprocessed-children', {}],
    ['PUT', '/queues/otp-send/obliterate', { force: true }],
    ['PUT', '/queues/otp-send/concurrency', { concurrency: 1 }],
    ['PUT', '/queues/otp-send/rate-limit', { max: 1, duration: 60_000 }],
    ['PUT', '/queues/otp-send/rate-limit/release', {}],
    ['PUT', '/queues/balance/job-schedulers/record-balance/remove', {}],
    ['PUT', '/queues/balance/job-schedulers/record-balance/run', {}],
    ['PATCH', '/queues/balance/job-schedulers/record-balance', { every: 1_000 }],
    ['PUT', '/queues/otp-send/clean/meta', {}],
    ['PUT', '/queues/otp-send/clean/latest', {}],
    // Bull Board reads these as the routes that they resemble.
    ['PUT', '/Queues/otp-send/Obliterate', { force: true }],
    ['POST', '/queues/otp-send/add/', { name: 'send-otp', data: {}, options: {} }],
    ['PUT', '/queues/otp-send/EMPTY', {}],
    ['PUT', '/queues/otp-send/empty/', {}],
    ['POST', '/queues/otp-send/%61dd', { name: 'send-otp', data: {}, options: {} }],
  ])('answers %s %s, and changes nothing', async (method, path, body) => {
    const job = await addJob({ delay: 60_000 });
    await queue.pause();
    const before = await stateOf(gateway);
    const reply = await call(method, path.replace('ID', String(job.id)), body);
    expectProblem(reply, 403, 'action_not_offered');
    expect(await stateOf(gateway)).toEqual(before);
  });

  it('has the members that Bull Board shows to the operator', async () => {
    const { json } = await call('POST', '/queues/otp-send/add');
    expect(json).toMatchObject({
      error: 'Action not available',
      message: expect.stringContaining('through the API'),
    });
  });

  it('answers a request that another site makes a browser send', async () => {
    const headers = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.test' };
    expectProblem(await call('PUT', '/queues/pause', {}, headers), 403, 'cross_site_request');
    expect(await queue.isPaused()).toBe(false);
  });
});

describe('409', () => {
  const many = Array.from({ length: 10_000 }, (_, n) => `otp_many_${n}`);

  it('answers emptying a queue of more than 10,000 jobs, and says what to do instead', async () => {
    await gateway.redis.rpush('{isms}:otp-send:wait', ...many);
    const last = await addJob();
    const reply = await put('/otp-send/empty');
    expectProblem(reply, 409, 'too_many_jobs');
    expect(reply.json).toMatchObject({ message: expect.stringContaining('Pause the queue instead') });
    expect(await queue.getJobCountByTypes('wait')).toBe(10_001);
    await last.remove();
    expect((await put('/otp-send/empty')).status).toBe(200);
    expect(await queue.getJobCountByTypes('wait')).toBe(0);
  });

  it.each(['completed', 'failed', 'delayed'])('answers removing more than 10,000 %s jobs', async (state) => {
    const members = [...many, 'otp_last'].flatMap((id) => [1, id]);
    await gateway.redis.zadd(`{isms}:otp-send:${state}`, ...members);
    expectProblem(await put(`/otp-send/clean/${state}`), 409, 'too_many_jobs');
    await gateway.redis.zrem(`{isms}:otp-send:${state}`, 'otp_last');
    expect((await put(`/otp-send/clean/${state}`)).status).toBe(200);
  });
});
