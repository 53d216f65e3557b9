import { afterAll, describe, expect, it } from 'vitest';
import { createOtpProducer, type SendManyResult, UploadRefused } from '../../src/index.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { startGateway } from '../api/gateway.js';
import { encryptionKey, testStore } from '../support/otps.js';
import { connect, databaseUrl } from '../support/redis.js';

const redis = await connect();
const store = testStore(redis);
const queue = createSendOtpQueue({ connection: redis, onError: () => {} });
const env = { ENCRYPTION_KEYS: encryptionKey.toString('base64'), REDIS_URL: databaseUrl() };
const producer = createOtpProducer({ app: 'shop', env });
/** No worker runs here: without a send rate, backpressure would refuse uploads that take over five seconds. */
const sending = setInterval(() => void store.load.addDone(10_000).catch(() => {}), 100);
afterAll(async () => {
  clearInterval(sending);
  await producer.close();
});

let next = 3_000_000;
const number = () => `012${next++}`;

describe('send', () => {
  it('enqueues an OTP that the API finds by its id', async () => {
    const to = number();
    const result = await producer.send({ to, reference: 'r' });
    if (result.kind === 'refused') throw new Error(result.refusal.code);
    expect(result.otp).toMatchObject({ status: 'queued', createdAt: expect.any(Date) });
    expect(await store.otps.find('shop', result.otp.id)).toMatchObject({ reference: 'r' });
    expect(await queue.queues[0].getJob(result.otp.id)).toMatchObject({ priority: 0 });
  });

  it('replays a request with the same idempotency key', async () => {
    const input = { to: number() };
    const first = await producer.send(input, { idempotencyKey: 'a' });
    expect(await producer.send(input, { idempotencyKey: 'a' })).toMatchObject({ ...first, kind: 'replayed' });
    const other = await producer.send({ to: number() }, { idempotencyKey: 'a' });
    expect(other).toMatchObject({ kind: 'refused', refusal: { code: 'idempotency_key_reused' } });
  });

  it('replays a request with members in another order, also one made through the API', async () => {
    const to = number();
    const api = await startGateway();
    const first = await api.call('POST', '/v1/otps', {
      body: { reference: 'order', to },
      headers: { 'Idempotency-Key': 'both' },
    });
    const { id } = first.json as { id: string };
    const again = await producer.send({ to, reference: 'order' }, { idempotencyKey: 'both' });
    expect(again).toMatchObject({ kind: 'replayed', otp: { id } });
  });

  it.each(['', 'with space', 'x'.repeat(256)])(
    'refuses an invalid idempotency key (%s)',
    async (idempotencyKey) => {
      const refused = await producer.send({ to: number() }, { idempotencyKey });
      expect(refused).toMatchObject({ kind: 'refused', refusal: { code: 'invalid_request' } });
      await expect(producer.sendMany([], { idempotencyKey })).rejects.toThrow(TypeError);
    },
  );

  it('applies the limits, and says when to retry', async () => {
    const to = number();
    await producer.send({ to });
    const again = await producer.send({ to });
    expect(again).toMatchObject({ kind: 'refused', refusal: { code: 'recipient_rate_limited' } });
    expect(again.kind === 'refused' && again.refusal.retryAfterMs).toBeGreaterThan(20_000);
  });

  it.each([
    ['an invalid number', { to: '123' }, 'invalid_phone_number'],
    ['an unknown member', { to: '0123456789', too: 1 }, 'invalid_request'],
    ['a country that is not allowed', { to: '+4915112345678' }, 'country_not_allowed'],
  ])('refuses %s', async (_, input, code) => {
    expect(await producer.send(input as { to: string })).toMatchObject({ refusal: { code } });
  });
});

describe('sendMany', () => {
  it('accepts an array, and reports each result in order', async () => {
    const results: SendManyResult[] = [];
    const otps = [...Array.from({ length: 450 }, () => ({ to: number() })), { to: 'nobody' }];
    const summary = await producer.sendMany(otps, { onResult: (result) => results.push(result) });
    expect(summary).toMatchObject({ accepted: 450, rejected: 1 });
    expect(results.map(({ index }) => index)).toEqual(otps.map((_, i) => i));
    expect(results[450]).toMatchObject({ kind: 'refused', refusal: { code: 'invalid_phone_number' } });
    expect(await store.batches.find('shop', summary.batchId)).toMatchObject({
      lines: 451,
      counts: { queued: 450 },
    });
  });

  it('reads an async iterable only as fast as it processes it, and reports progress', async () => {
    let taken = 0;
    let ahead = 0;
    const seen: number[] = [];
    async function* many() {
      for (let i = 0; i < 3_000; i++) {
        taken += 1;
        yield { to: number() };
      }
    }
    const onProgress = ({ accepted }: { accepted: number }) => {
      seen.push(accepted);
      ahead = Math.max(ahead, taken - accepted);
    };
    const summary = await producer.sendMany(many(), { onProgress });
    expect(summary.accepted).toBe(3_000);
    expect(seen).toEqual(Array.from({ length: 15 }, (_, i) => (i + 1) * 200));
    expect(ahead).toBeLessThanOrEqual(1_200);
  });

  it('continues an interrupted upload under the same key without duplicates', async () => {
    const otps = Array.from({ length: 700 }, () => ({ to: number() }));
    function* broken() {
      yield* otps.slice(0, 500);
      throw new Error('the file broke off');
    }
    await expect(producer.sendMany(broken(), { idempotencyKey: 'file-1' })).rejects.toThrow('broke off');
    const summary = await producer.sendMany(otps, { idempotencyKey: 'file-1' });
    expect(summary).toMatchObject({ accepted: 700, rejected: 0 });
    expect(await store.batches.find('shop', summary.batchId)).toMatchObject({ counts: { queued: 700 } });
  });

  it('gives the batch a name, a start and a pace', async () => {
    const startAt = new Date(Date.now() + 60_000);
    const options = { name: 'Friday', startAt, perSecond: 50 };
    const { batchId } = await producer.sendMany([{ to: number() }], options);
    const found = await store.batches.find('shop', batchId);
    expect(found).toMatchObject({ ...options, startAt: startAt.getTime() });
  });

  it.each([{ name: '' }, { startAt: 'tomorrow' }, { startAt: new Date(Number.NaN) }, { perSecond: 0 }])(
    'rejects %j with a TypeError',
    async (options) => {
      await expect(producer.sendMany([{ to: number() }], options)).rejects.toThrow(TypeError);
    },
  );

  it('rejects OTPs for a cancelled batch', async () => {
    const { batchId } = await producer.sendMany([{ to: number() }], { idempotencyKey: 'gone' });
    await store.batches.cancel('shop', batchId);
    const refused = producer.sendMany([{ to: number() }], { idempotencyKey: 'gone' });
    await expect(refused).rejects.toThrow(new UploadRefused('batch_cancelled'));
    await expect(refused).rejects.toMatchObject({ code: 'batch_cancelled' });
  });

  it('stops when its signal aborts', async () => {
    const controller = new AbortController();
    const otps = Array.from({ length: 5_000 }, () => ({ to: number() }));
    const summary = await producer.sendMany(otps, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    expect(summary.accepted).toBeLessThan(2_000);
  });
});

describe('createOtpProducer', () => {
  it('uses a connection of the app, and leaves it open', async () => {
    const own = createOtpProducer({ app: 'bank', env: { ENCRYPTION_KEYS: env.ENCRYPTION_KEYS }, redis });
    expect(await own.send({ to: number() })).toMatchObject({ kind: 'created' });
    await own.close();
    expect(await redis.ping()).toBe('PONG');
  });

  it('names all errors in the settings', () => {
    const make = () => createOtpProducer({ app: 'shop', env: { LIMIT_RECIPIENT_PER_DAY: 'many' } });
    expect(make).toThrow(
      /LIMIT_RECIPIENT_PER_DAY[\s\S]*ENCRYPTION_KEYS|ENCRYPTION_KEYS[\s\S]*LIMIT_RECIPIENT_PER_DAY/,
    );
    expect(() => createOtpProducer({ app: 'shop', env: { ENCRYPTION_KEYS: env.ENCRYPTION_KEYS } })).toThrow(
      /REDIS_URL/,
    );
  });

  it('answers queue_unavailable while Redis is away', async () => {
    const away = createOtpProducer({ app: 'shop', env: { ...env, REDIS_URL: 'redis://127.0.0.1:1' } });
    const code = 'queue_unavailable';
    expect(await away.send({ to: number() })).toMatchObject({ kind: 'refused', refusal: { code } });
    await away.close();
  });
});
