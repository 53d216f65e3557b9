import { afterAll, describe, expect, it } from 'vitest';
import { sleep } from '../../support/otps.js';
import { connectTo } from '../../support/redis.js';
import { freePort } from '../../support/redis-server.js';
import { startRedis } from '../../support/redis-topology.js';
import { admin, expectProblem, type Gateway, startGateway } from '../gateway.js';

const server = await startRedis();
afterAll(server.stop);
const basic = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };

/** Every call that needs Redis, each of them answered 503. */
async function expectRefusals(gateway: Gateway, id: string): Promise<void> {
  const calls: [string, string, object?][] = [
    ['POST', '/v1/otps', { to: '0123456789' }],
    ['GET', '/v1/batches/batch_AAAAAAAAAAAAAAAAAAAAAA'],
    ['GET', '/v1/batches/batch_AAAAAAAAAAAAAAAAAAAAAA/otps'],
    ['DELETE', '/v1/batches/batch_AAAAAAAAAAAAAAAAAAAAAA'],
    ['GET', `/v1/otps/${id}`],
    ['GET', '/v1/otps?reference=x'],
    ['POST', `/v1/otps/${id}/verify`, { code: '123456' }],
    ['DELETE', `/v1/otps/${id}`],
    ['GET', '/v1/balance'],
    ['GET', '/v1/balance?refresh=true'],
    ['GET', '/v1/balance/history'],
  ];
  const replies = await Promise.all(
    calls.map(async ([method, path, body]) => await gateway.call(method, path, { body })),
  );
  for (const reply of replies) expectProblem(reply, 503, 'queue_unavailable');
  const bulk = { body: { otps: [{ to: '0123456789' }] } };
  expect((await gateway.call('POST', '/v1/otps/bulk', bulk)).json).toMatchObject({
    accepted: 0,
    results: [{ index: 0, code: 'queue_unavailable' }],
  });
  const keyed = { ...bulk, headers: { 'Idempotency-Key': 'while-away' } };
  expectProblem(await gateway.call('POST', '/v1/otps/bulk', keyed), 503, 'queue_unavailable');
  // What was probed within the last 500 ms is answered again.
  await until(async () => (await gateway.call('GET', '/readyz')).status !== 200);
  expectProblem(await gateway.call('GET', '/readyz'), 503, 'not_ready');
  expect((await gateway.call('GET', '/livez')).status).toBe(200);
}

async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await sleep(50);
}

describe('a request answers 503', () => {
  it('while Redis is gone, and recovers once it is back', async () => {
    const gateway = await startGateway({ redisUrl: server.url });
    const ready = async () => (await gateway.call('GET', '/readyz')).status === 200;
    await until(ready);
    const { id } = await gateway.sent();
    await server.kill();
    await expectRefusals(gateway, id);
    const page = await gateway.call('GET', '/admin/queues/api/queues', { key: null, headers: basic });
    expectProblem(page, 503, 'queue_unavailable');
    await server.restart();
    await until(ready);
    expect((await gateway.call('GET', `/v1/otps/${id}`)).json).toMatchObject({ status: 'sent' });
  });

  it('while Redis is frozen', async () => {
    const gateway = await startGateway({ redisUrl: server.url });
    await until(async () => (await gateway.call('GET', '/readyz')).status === 200);
    const { id } = await gateway.sent();
    server.freeze();
    try {
      await expectRefusals(gateway, id);
    } finally {
      server.thaw();
    }
  });

  it('if Redis was never there, also on the admin pages', async () => {
    const gateway = await startGateway({ redisUrl: `redis://127.0.0.1:${await freePort()}` });
    await expectRefusals(gateway, 'otp_mmAAAAAAAAAAAAAAAAAAAAAA');
    const page = await gateway.call('GET', '/admin/queues/api/queues', { key: null, headers: basic });
    expectProblem(page, 503, 'queue_unavailable');
  });

  it('while Redis is out of memory; the same key completes the OTP later', async () => {
    const gateway = await startGateway({ redisUrl: server.url });
    await until(async () => (await gateway.call('GET', '/readyz')).status === 200);
    const inspected = await connectTo(server.url);
    await inspected.config('SET', 'maxmemory', '1');
    const call = { body: { to: '0123456789' }, headers: { 'Idempotency-Key': 'again' } };
    expectProblem(await gateway.call('POST', '/v1/otps', call), 503, 'queue_unavailable');
    await inspected.config('SET', 'maxmemory', '0');
    inspected.disconnect();
    await until(async () => (await gateway.call('POST', '/v1/otps', call)).status === 202);
  });

  it('on /readyz, with the reason, while Redis may evict keys', async () => {
    const gateway = await startGateway({ redisUrl: server.url });
    const ready = async () => await gateway.call('GET', '/readyz');
    await until(async () => (await ready()).status === 200);
    const inspected = await connectTo(server.url);
    await inspected.config('SET', 'maxmemory-policy', 'volatile-ttl');
    await inspected.config('SET', 'maxmemory', '1gb');
    await until(async () => (await ready()).status === 503);
    const reply = await ready();
    expectProblem(reply, 503, 'not_ready');
    expect(reply.json).toMatchObject({ detail: expect.stringContaining('volatile-ttl') });
    await inspected.config('SET', 'maxmemory-policy', 'noeviction');
    await until(async () => (await ready()).status === 200);
    await inspected.config('SET', 'maxmemory', '0');
    inspected.disconnect();
  });

  it('if, as on a cluster, the OTP was admitted but its job not added; the same key adds it', async () => {
    const working = await startGateway({ redisUrl: server.url });
    const hanging = await startGateway({ redisUrl: server.url, add: () => new Promise(() => {}) });
    const ready = async (gateway: Gateway) => (await gateway.call('GET', '/readyz')).status === 200;
    await until(async () => (await ready(working)) && (await ready(hanging)));
    const call = { body: { to: '0123456789' }, headers: { 'Idempotency-Key': 'half' } };
    expectProblem(await hanging.call('POST', '/v1/otps', call), 503, 'queue_unavailable');
    const reply = await working.call('POST', '/v1/otps', call);
    expect(reply.headers.get('Idempotent-Replayed')).toBe('true');
    const { id } = reply.json as { id: string };
    expect(await working.redis.exists(`{isms}:otp-send:${id}`)).toBe(1);
  });
});
