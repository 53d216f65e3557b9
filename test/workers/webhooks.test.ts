import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { documentedWebhooks } from '../../src/api/docs/webhooks.js';
import { namedSchemas } from '../../src/api/routes/schemas.js';
import { eventTypes } from '../../src/otp/event.js';
import { batchId } from '../../src/otp/otp-id.js';
import { createWebhookQueue, type WebhookJob, webhookRetriesMs } from '../../src/queues/webhook.js';
import { wantedEvents } from '../../src/store/script.js';
import { createWebhookEndpoint } from '../../src/webhooks/endpoint.js';
import { createRelay, createWebhookProcessor, webhookDelayMs } from '../../src/workers/webhooks.js';
import { number } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { samplesOf } from '../support/samples.js';
import { createScene, type Scene } from '../support/workers.js';
import { type Receiver, secret, startReceiver } from '../webhooks/receiver.js';

const redis = await connect();
const queue = createWebhookQueue(redis, () => {});
let scene: Scene;
let receiver: Receiver;
/** What the receiver answers next. */
let status = 204;
const stops: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  await redis.flushdb();
  status = 204;
  scene = await createScene(redis, { events: wantedEvents(eventTypes), maxResendsAfterUnknown: 0 });
  receiver = await startReceiver(() => status);
});
afterEach(async () => {
  await scene.close();
  await receiver.close();
  for (const stop of stops.splice(0)) await stop();
  for (const message of taken()) expectDocumented(message);
});

/** Expects the `data` that the OpenAPI document has for an event of this type, with no member more. */
function expectDocumented({ type, data }: Receiver['taken'][number]['message']): void {
  const { schema } = documentedWebhooks()[type]?.post.requestBody.content['application/json'] ?? {};
  const name = schema?.properties.data.$ref.split('/').at(-1) as keyof typeof namedSchemas;
  const documented = namedSchemas[name];
  if (!(documented instanceof z.ZodObject)) throw new Error(`no schema for ${type}`);
  expect(z.strictObject(documented.shape).parse(data)).toEqual(data);
}

const startTelling = async () => {
  const endpoint = createWebhookEndpoint({ url: receiver.url, secrets: [secret], allowPrivate: true });
  stops.push(() => endpoint.close());
  return await scene.start({
    everyMs: 60_000,
    webhooks: { receivers: { of: () => endpoint, close: () => endpoint.close() }, queue },
  });
};
const taken = () => receiver.taken.map(({ message }) => message);
/** Failed deliveries wait no longer. */
const hurry = async () => {
  for (const job of await queue.queue.getJobs(['delayed'])) await job.promote().catch(() => {});
};

describe('a webhook receiver', () => {
  it("gets each OTP's id and reference, and no number", async () => {
    await startTelling();
    const id = await scene.send({ to: number('0123456789'), reference: 'order-8731' });
    await expect.poll(() => taken().length, { timeout: 10_000 }).toBe(1);
    expect(taken()).toEqual([
      {
        type: 'otp.sent',
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        data: { id, app: 'shop', reference: 'order-8731', status: 'sent', failure: null },
      },
    ]);
    const stored = JSON.stringify(await queue.queue.getJobs());
    expect(stored).toContain(id);
    expect(stored).not.toMatch(/123456789|order-8731/);
  });

  it('gets start and end of a batch once each, although a worker writes the end down twice', async () => {
    const { batches } = scene.store;
    const batch =
      (await batches.open('shop', null, { name: 'Friday', startAt: null, perSecond: null })) ?? '';
    expect(await batches.markStarted(batch)).toBe(true);
    for (let i = 0; i < 2; i++) await batches.markFinished(batch);
    const id = await scene.send({ to: number('0123456789') });
    await startTelling();
    await expect.poll(() => taken().length, { timeout: 10_000 }).toBe(3);
    const about = { id: batchId(batch), app: 'shop', name: 'Friday' };
    const messages = taken();
    expect(messages.find(({ type }) => type === 'batch.started')?.data).toEqual(about);
    const end = messages.find(({ type }) => type === 'batch.finished')?.data;
    expect(end).toMatchObject({ ...about, status: 'finished', lines: 0, counts: { sent: 0, failed: 0 } });
    expect(messages.find(({ type }) => type === 'otp.sent')?.data).toMatchObject({ id });
    expect(await queue.queue.getJobs()).toHaveLength(3);
  });

  it('gets every event under one id, although it fails for a while', async () => {
    await startTelling();
    status = 503;
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push(await scene.send({ to: number(`01234567${10 + i}`) }));
    ids.push(await scene.send({ to: number('0190000002') }), await scene.send({ to: number('0190000021') }));
    await expect.poll(() => receiver.attempts.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(14);
    const hurried = async () => {
      await hurry();
      return receiver.attempts.length;
    };
    await expect.poll(hurried, { timeout: 10_000 }).toBeGreaterThanOrEqual(28);
    expect(taken()).toEqual([]);
    status = 200;
    await expect
      .poll(
        async () => {
          await hurry();
          return taken().length;
        },
        { timeout: 10_000 },
      )
      .toBe(14);
    const told = taken().map(({ type, data }) => `${data['id']} ${type}`);
    expect(told.sort()).toEqual(
      ids.map((id, i) => `${id} otp.${i < 12 ? 'sent' : i === 12 ? 'failed' : 'unknown'}`).sort(),
    );
    // An attempt that is repeated has the same id and body, and a signature of its own time.
    const repeated = receiver.attempts.map(({ headers, body }) => `${headers['webhook-id']} ${body}`);
    expect(new Set(repeated).size).toBe(14);
    await expect.poll(() => queue.counts()).toEqual({ waiting: 0, retrying: 0, dead: 0 });
    const samples = samplesOf((await scene.metrics.exposition()).text);
    expect(samples['isms_otp_webhook_deliveries_total{event="otp.sent",outcome="delivered"}']).toBe(12);
    expect(samples['isms_otp_webhook_deliveries_total{event="otp.failed",outcome="failed"}']).toBeGreaterThan(
      0,
    );
  });

  it('that answers 410 gets no further attempt; the event is a dead letter and can be redelivered', async () => {
    await startTelling();
    status = 410;
    await scene.send();
    await expect.poll(async () => (await queue.counts()).dead, { timeout: 10_000 }).toBe(1);
    expect(await queue.counts()).toEqual({ waiting: 0, retrying: 0, dead: 1 });
    expect(receiver.attempts).toHaveLength(1);
    expect(scene.log.filter(({ event }) => event === 'webhook.failed')).toMatchObject([
      { level: 'error', last: true, reason: 'status_410', type: 'otp.sent' },
    ]);
    status = 503;
    expect(await queue.retryDead()).toBe(1);
    await expect.poll(() => receiver.attempts.length, { timeout: 10_000 }).toBe(2);
    // It has as many attempts as a new one.
    await expect.poll(async () => (await queue.counts()).retrying).toBe(1);
    status = 204;
    await hurry();
    await expect.poll(() => taken().length, { timeout: 10_000 }).toBe(1);
    expect(await queue.retryDead()).toBe(0);
  });

  it('gets an event when account trouble begins and when it ends', async () => {
    await startTelling();
    await scene.store.sendingPause.report({
      trouble: 'insufficient_credits',
      claimedAt: Date.now() + 5_000,
    });
    await scene.store.sendingPause.resume();
    await scene.store.balance.record({ credits: 3, expiresOn: null });
    await expect.poll(() => taken().length, { timeout: 10_000 }).toBe(3);
    expect(taken().map(({ type, data }) => [type, data])).toEqual(
      expect.arrayContaining([
        ['sending.paused', { trouble: 'insufficient_credits', text: null }],
        ['sending.resumed', { trouble: 'insufficient_credits', text: null }],
        ['balance.low', { credits: 3, expiresOn: null }],
      ]),
    );
  });
});

describe('the relay', () => {
  const everybody = { of: () => ({ deliver: async () => ({ kind: 'delivered' as const }) }) };
  const relayWith = (parts: Partial<Parameters<typeof createRelay>[0]> = {}) =>
    createRelay({ ...scene, webhookQueue: queue, receivers: everybody, ...parts });
  const leaseOver = async () => void (await redis.del(...(await redis.keys('*:lease:*')), 'none'));

  it('reads events often enough to deliver them within two seconds', () => {
    expect(relayWith().everyMs).toBeLessThanOrEqual(1_000);
  });

  it('logs and drops unreadable events, and delivers the others', async () => {
    await redis.xadd('isms:{sending}:events', '*', 'type', 'otp.teleported', 'at', '1');
    await scene.store.sendingPause.report({
      trouble: 'account_suspended',
      claimedAt: Date.now() + 5_000,
    });
    await relayWith().run();
    expect(await queue.counts()).toEqual({ waiting: 1, retrying: 0, dead: 0 });
    expect(scene.log.map(({ event }) => event)).toContain('webhook.unreadable');
    expect(await scene.store.events.read()).toEqual([]);
  });

  it('deletes no event before its job exists', async () => {
    await scene.store.sendingPause.report({
      trouble: 'account_suspended',
      claimedAt: Date.now() + 5_000,
    });
    const failing = { ...queue, add: async () => Promise.reject(new Error('killed')) };
    await expect(relayWith({ webhookQueue: failing }).run()).rejects.toThrow('killed');
    expect(await scene.store.events.read()).toHaveLength(1);
  });

  it('adds an event once, although it died before deleting it', async () => {
    await scene.store.sendingPause.report({
      trouble: 'account_suspended',
      claimedAt: Date.now() + 5_000,
    });
    const dying = { ...scene.store.events, forget: async () => Promise.reject(new Error('killed')) };
    await expect(relayWith({ store: { ...scene.store, events: dying } }).run()).rejects.toThrow('killed');
    await leaseOver();
    await relayWith().run();
    expect(await queue.counts()).toEqual({ waiting: 1, retrying: 0, dead: 0 });
    expect(await scene.store.events.read()).toEqual([]);
  });

  it('holds events back while too many wait, logs that once, and continues afterwards', async () => {
    await scene.store.sendingPause.report({
      trouble: 'account_suspended',
      claimedAt: Date.now() + 5_000,
    });
    let waiting = 200_000;
    const counts = async () => ({ waiting, retrying: 0, dead: 0 });
    const relay = relayWith({ webhookQueue: { ...queue, counts } });
    for (let i = 0; i < 2; i++) {
      await leaseOver();
      await relay.run();
    }
    expect(await scene.store.events.read()).toHaveLength(1);
    expect(scene.log.filter(({ event }) => event === 'webhook.backlog_full')).toHaveLength(1);
    waiting = 0;
    await leaseOver();
    await relay.run();
    expect(await scene.store.events.read()).toEqual([]);
    expect((await queue.counts()).waiting).toBe(1);
  });
});

it('a receiver that hangs leaves room for the events of other apps', { timeout: 40_000 }, async () => {
  const hanging = createServer(() => {}).listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/`;
  const endpoints = [url, receiver.url].map((each) =>
    createWebhookEndpoint({ url: each, secrets: [secret], allowPrivate: true }),
  );
  const [mall, shop] = endpoints;
  stops.push(async () => {
    hanging.closeAllConnections();
    hanging.close();
    await Promise.all(endpoints.map((endpoint) => endpoint.close()));
  });
  const ofDay = { period: 'day' as const, used: 1, budget: 1, endsAt: new Date().toISOString() };
  const events = Array.from({ length: 201 }, (_, n) => ({
    ...{ id: `evt_${n}`, type: 'budget.spent' as const, at: Date.now() },
    about: { app: n < 200 ? 'mall' : 'shop', ...ofDay },
  }));
  await queue.add(events);
  const of = (_: string, app: string | null) => (app === 'mall' ? mall : shop) ?? null;
  await scene.start({ everyMs: 60_000, webhooks: { receivers: { of, close: async () => {} }, queue } });
  // A delivery that hangs takes 15 s.
  await expect.poll(() => taken().length, { timeout: 10_000 }).toBe(1);
});

describe('attempts of a webhook delivery', () => {
  it('continue for a day, and the last failure makes a dead letter', async () => {
    const day = webhookRetriesMs.reduce((sum: number, ms) => sum + ms, 0);
    expect(day).toBeGreaterThan(24 * 3_600_000);
    expect(day).toBeLessThan(25 * 3_600_000);
    for (const [i, ms] of webhookRetriesMs.entries()) {
      const delay = webhookDelayMs(i + 1);
      expect(delay).toBeGreaterThanOrEqual(ms * 0.9 - 1);
      expect(delay).toBeLessThanOrEqual(ms * 1.1 + 1);
    }
    const process = createWebhookProcessor({
      otps: scene.store.otps,
      receivers: { of: () => ({ deliver: async () => ({ kind: 'failed', reason: 'timeout' }) }) },
      fraudGuardEnforces: false,
      logger: scene.logger,
      metrics: scene.metrics,
    });
    const data = { id: 'evt_1', type: 'sending.paused', at: 1, about: { trouble: 'x' } };
    const attempt = (attemptsMade: number) => process({ data, attemptsMade } as unknown as WebhookJob);
    await expect(attempt(webhookRetriesMs.length - 1)).rejects.toMatchObject({ name: 'NotDelivered' });
    await expect(attempt(webhookRetriesMs.length)).rejects.toMatchObject({ name: 'UnrecoverableError' });
  });
});
