import type * as published from 'isms-otp-client';
import { isOtpError, OtpClient, type UploadResult } from 'isms-otp-client';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import type { OpenApiDocument, Operation } from '../../src/api/docs/openapi.js';
import type { ProblemCode } from '../../src/api/http/problems.js';
import {
  balanceSchema,
  batchOtpSchema,
  batchSchema,
  type bulkResultSchema,
  historySchema,
  type lineResultSchema,
  otpSchema,
  statsSchema,
  verifiedSchema,
  type verifyByNumberSchema,
} from '../../src/api/routes/schemas.js';
import type { EventSubject, EventType } from '../../src/otp/event.js';
import type { RefusalCode } from '../../src/otp/refusal.js';
import type { OtpInput } from '../../src/producer/otp-request.js';
import { shopKey, startGateway } from '../api/gateway.js';
import { claimed } from '../support/otps.js';

/** As if workers kept up: none runs here. */
const load = { addDone: async () => {}, done: async () => Date.now(), memory: async () => 0 };
const gateway = await startGateway({ load });
const client = new OtpClient({ baseUrl: gateway.url, apiKey: shopKey });
const document = (await gateway.call('GET', '/openapi.json', { key: null })).json as OpenApiDocument;
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, ...(operation as Operation) })),
);
const ofApps = operations.filter(
  ({ tags }) => !tags.some((tag) => ['Health', 'Documentation'].includes(tag)),
);
const all = async <T>(items: AsyncIterable<T>) => {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
};

/** How a client reaches each operation, with `{id}` for the id. */
const reached: Record<string, (client: OtpClient) => Promise<unknown>> = {
  createOtp: (each) => each.send({ to: '0123456789' }),
  resendOtp: (each) => each.resend('{id}'),
  getOtp: (each) => each.get('{id}'),
  listOtps: (each) => all(each.listOtps()),
  cancelOtp: (each) => each.cancel('{id}'),
  verifyOtp: (each) => each.verify('{id}', '123456'),
  verifyOtpByNumber: (each) => each.verifyByNumber({ to: '0123456789', code: '123456' }),
  createOtps: (each) => each.sendMany([{ to: '0123456789' }]),
  listBatches: (each) => all(each.listBatches()),
  changeBatch: (each) => each.changeBatch('{id}', { paused: true }),
  getBatch: (each) => each.getBatch('{id}'),
  getBatchOtps: (each) => all(each.listBatch('{id}')),
  cancelBatch: (each) => each.cancelBatch('{id}'),
  getBalance: (each) => each.balance(),
  getBalanceHistory: (each) => all(each.balanceHistory()),
  getStats: (each) => each.stats(),
};

describe('the client', () => {
  it.each(ofApps.map((operation) => [operation.operationId, operation] as const))(
    'reaches %s',
    async (operationId, { method, path }) => {
      const calls: string[] = [];
      const recording = new OtpClient({
        baseUrl: 'https://otp.example',
        apiKey: shopKey,
        retries: 0,
        fetch: async (input, init) => {
          const { pathname } = new URL(String(input));
          calls.push(`${init?.method} ${decodeURIComponent(pathname)}`);
          return new Response(null, { status: 404 });
        },
      });
      await reached[operationId]?.(recording).catch(() => {});
      expect(calls).toEqual([`${method.toUpperCase()} ${path}`]);
    },
  );

  it('types every line that an upload is answered with', () => {
    const { anyOf = [] } = z
      .object({ anyOf: z.array(z.object({ properties: z.record(z.string(), z.unknown()) })) })
      .parse(document.components.schemas['BulkLine']);
    const members = anyOf.map(({ properties }) => Object.keys(properties).sort());
    expect(members).toEqual([['id', 'index'], ['code', 'index', 'message'], ['summary']]);
  });
});

describe("the client's types", () => {
  it('of answers are those of the API schemas', () => {
    expectTypeOf<published.Otp>().toEqualTypeOf<z.output<typeof otpSchema>>();
    expectTypeOf<published.Verified>().toEqualTypeOf<z.output<typeof verifiedSchema>>();
    expectTypeOf<published.Batch>().toEqualTypeOf<z.output<typeof batchSchema>>();
    expectTypeOf<published.BatchOtp>().toEqualTypeOf<z.output<typeof batchOtpSchema>>();
    expectTypeOf<published.Balance>().toEqualTypeOf<z.output<typeof balanceSchema>>();
    expectTypeOf<published.BalanceSnapshot>().toEqualTypeOf<
      z.output<typeof historySchema>['snapshots'][number]
    >();
    expectTypeOf<published.Stats>().toEqualTypeOf<z.output<typeof statsSchema>>();
    expectTypeOf<published.UploadResult>().toEqualTypeOf<z.output<typeof lineResultSchema>>();
    expectTypeOf<published.UploadSummary>().toEqualTypeOf<
      Omit<z.output<typeof bulkResultSchema>, 'results'>
    >();
  });

  it('of requests are those of the API schemas', () => {
    expectTypeOf<published.OtpInput>().toEqualTypeOf<OtpInput>();
    expectTypeOf<published.NumberVerification>().toEqualTypeOf<z.input<typeof verifyByNumberSchema>>();
  });

  it('of errors name every code of the gateway', () => {
    expectTypeOf<published.ProblemCode>().toEqualTypeOf<ProblemCode>();
    expectTypeOf<published.RefusalCode>().toEqualTypeOf<RefusalCode>();
  });

  it('of events are those that the gateway sends', () => {
    expectTypeOf<published.WebhookEventType>().toEqualTypeOf<EventType>();
    type Subject<K extends string> = Extract<EventSubject, Record<K, unknown>>;
    expectTypeOf<published.BalanceEventData>().toEqualTypeOf<Subject<'credits'>>();
    type Sending = Omit<Subject<'trouble'>, 'app'> & { app?: string | undefined };
    expectTypeOf<published.SendingEventData>().branded.toEqualTypeOf<Sending>();
    expectTypeOf<Omit<published.RangeEventData, 'enforced'>>().toEqualTypeOf<Subject<'range'>>();
    expectTypeOf<published.BatchEndData>().toEqualTypeOf<Subject<'counts'>>();
    expectTypeOf<published.BudgetEventData>().toEqualTypeOf<Subject<'period'>>();
    expectTypeOf<published.ConversionEventData>().toEqualTypeOf<Subject<'country'>>();
  });
});

/** Expects what an answer's schema says, with no member more or less. */
function expectShape(schema: z.ZodType, answer: unknown): void {
  expect(schema.parse(answer)).toEqual(answer);
}

describe('a real gateway answers what the types say', () => {
  it('to a send, with its key again, to a look, and to a search', async () => {
    const options = { idempotencyKey: 'agreement' };
    const input = { to: '012-345 6789', reference: 'order & 1+1', ttlSeconds: 60 };
    const otp = await client.send(input, options);
    expectShape(otpSchema, otp);
    expect(await client.send(input, options)).toEqual(otp);
    expect(await client.get(otp.id)).toEqual(otp);
    const found = await client.findByReference('order & 1+1');
    expect(found).toEqual([otp]);
    expect(await client.findByReference('nothing')).toEqual([]);
    const other = await client.send({ to: '012-345 6780', purpose: 'other' });
    expect((await all(client.listOtps({ limit: 1 }))).slice(0, 2)).toEqual([other, otp]);
    const since = new Date(Date.parse(otp.createdAt));
    expect(await all(client.listOtps({ status: 'queued', purpose: 'other', since }))).toEqual([other]);
    expect(await all(client.listOtps({ until: otp.createdAt, limit: 1 }))).toEqual([]);
  });

  it('to a send that waits, when it is sent and when the time is up', async () => {
    const waited = await client.send({ to: '0123456781' }, { waitSeconds: 0 });
    expect(waited.status).toBe('queued');
    const waiting = client.send({ to: '0123456782', reference: 'waits' }, { waitSeconds: 5 });
    await expect.poll(async () => (await client.findByReference('waits')).length).toBe(1);
    const [{ id } = { id: '' }] = await client.findByReference('waits');
    const rejected = { kind: 'rejected', failure: 'invalid_number' } as const;
    await gateway.store.sendAttempts.settle(await claimed(gateway.store, id), rejected);
    const otp = await waiting;
    expectShape(otpSchema, otp);
    expect(otp).toMatchObject({ id, status: 'failed', failure: { code: 'invalid_number' } });
    expect(await client.waitUntilSent(id)).toEqual(otp);
  });

  it('to a verification, and to one whose answer got lost', async () => {
    const { id, code } = await gateway.sent();
    const wrong = code === '000000' ? '000001' : '000000';
    const error = await client.verify(id, wrong).catch((reason: unknown) => reason);
    expect(isOtpError(error, 'incorrect_code') && error.attemptsRemaining).toBe(4);
    let lost = 0;
    const unlucky = new OtpClient({
      baseUrl: gateway.url,
      apiKey: shopKey,
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        lost += 1;
        if (lost > 1) return response;
        await response.text();
        throw new TypeError('terminated');
      },
    });
    const verified = await unlucky.verify(id, code);
    expectShape(verifiedSchema, verified);
    expect(verified.id).toBe(id);
    expect((await client.get(id)).attemptsRemaining).toBe(3);
    await expect(client.verify(id, code)).rejects.toMatchObject({ code: 'already_verified', status: 409 });
  });

  it('to a verification of a code that approves something', async () => {
    const { id, code } = await gateway.sent({ to: '0123456786', binding: 'MYR 5' });
    const other = await client.verify(id, code, { binding: 'MYR 6' }).catch((reason: unknown) => reason);
    expect(isOtpError(other, 'binding_mismatch') && other.attemptsRemaining).toBe(4);
    expect(await client.verify(id, code, { binding: 'MYR 5' })).toMatchObject({ id, status: 'verified' });
  });

  it('to a verification by number, of the newest OTP of a purpose', async () => {
    const to = '0123456784';
    const { id, code } = await gateway.sent({ to, purpose: 'login' });
    const verified = await client.verifyByNumber({ to: '+60 12-345 6784', code, purpose: 'login' });
    expectShape(verifiedSchema, verified);
    expect(verified.id).toBe(id);
    const other = client.verifyByNumber({ to, code });
    await expect(other).rejects.toMatchObject({ code: 'otp_not_found' });
  });

  it('to a resend, and to the same again', async () => {
    const first = await client.send({ to: '0123456785', reference: 'again' });
    const options = { idempotencyKey: 'resend-1', clientIp: '192.0.2.1' };
    const second = await client.resend(first.id, options);
    expectShape(otpSchema, second);
    expect(second).toMatchObject({ status: 'queued', to: first.to, reference: 'again' });
    expect(second.id).not.toBe(first.id);
    expect((await client.resend(first.id, options)).id).toBe(second.id);
    expect((await client.resend(second.id)).status).toBe('queued');
  });

  it('to a verification that is no code', async () => {
    const { id } = await gateway.sent();
    const error = await client.verify(id, 'abc').catch((reason: unknown) => reason);
    expect(isOtpError(error, 'invalid_request') && error.errors).toEqual([
      { path: 'code', message: expect.any(String) },
    ]);
  });

  it('to a cancellation', async () => {
    const { id } = await client.send({ to: '0123456783' });
    expect(await client.cancel(id)).toBeUndefined();
    await client.cancel(id);
    expect((await client.get(id)).status).toBe('cancelled');
    await expect(client.cancel('otp_unknown')).rejects.toMatchObject({ code: 'otp_not_found' });
  });

  it('to an upload, and of its batch', async () => {
    const results: UploadResult[] = [];
    const inputs = Array.from({ length: 250 }, (_, i) => ({ to: `012${3_000_000 + i}` }));
    const summary = await client.sendMany([...inputs, { to: 'nonsense' }], {
      ...{ name: 'Friday', perSecond: 50, startAt: new Date(Date.now() + 60_000) },
      defaults: { reference: 'many' },
      onResult: (result) => results.push(result),
    });
    expect(summary).toEqual({ batchId: expect.any(String), accepted: 250, rejected: 1 });
    expect(results.map(({ index }) => index)).toEqual(Array.from({ length: 251 }, (_, i) => i));
    expect(results.at(-1)).toMatchObject({ code: 'invalid_phone_number', message: expect.any(String) });
    const batch = await client.getBatch(summary.batchId);
    expectShape(batchSchema, batch);
    expect(batch).toMatchObject({ lines: 251, counts: { queued: 250 }, name: 'Friday', perSecond: 50 });
    expect(batch).toMatchObject({ status: 'scheduled', waiting: 250, waitsFor: 'start' });
    expect(await all(client.listBatches({ status: 'scheduled', since: batch.createdAt }))).toEqual([batch]);
    expect(await all(client.listBatches({ until: batch.createdAt }))).toEqual([]);
    const change = { paused: true, perSecond: null, startAt: new Date(Date.now() + 120_000) };
    const changed = await client.changeBatch(summary.batchId, change);
    expectShape(batchSchema, changed);
    expect(changed).toMatchObject({
      status: 'paused',
      perSecond: null,
      startAt: change.startAt.toISOString(),
    });
    const pages = await all(client.listBatch(summary.batchId, { limit: 30, status: 'queued' }));
    expectShape(z.array(batchOtpSchema), pages);
    expect(pages.map(({ id }) => id)).toEqual(results.flatMap((result) => ('id' in result ? result.id : [])));
    expect(pages[0]?.reference).toBe('many');
    await client.cancelBatch(summary.batchId);
    expect(await client.getBatch(summary.batchId)).toMatchObject({ cancelled: true });
    expect(await all(client.listBatch(summary.batchId, { status: 'queued' }))).toEqual([]);
  });

  it('of the balance, and of its history', async () => {
    await expect(client.balance()).rejects.toMatchObject({ code: 'balance_unavailable' });
    const balance = await client.balance({ refresh: true });
    expectShape(balanceSchema, balance);
    const at = new Date(balance.checkedAt);
    const history = await all(client.balanceHistory({ since: at, until: new Date(at.getTime() + 1) }));
    expectShape(historySchema.shape.snapshots, history);
    expect(history).toEqual([
      { at: balance.checkedAt, credits: balance.credits, expiresOn: balance.expiresOn },
    ]);
    expect(await all(client.balanceHistory({ until: balance.checkedAt }))).toEqual([]);
  });

  it('of statistics', async () => {
    await client.send({ to: '0123456799', purpose: 'stats' });
    await gateway.store.appStats.add(gateway.metrics.appTally.take());
    const since = new Date(Date.now() - 3_600_000);
    const stats = await client.stats({ by: 'purpose', since, until: new Date(), step: '5m' });
    expectShape(statsSchema, stats);
    expect(stats.rows).toContainEqual(expect.objectContaining({ group: 'stats', accepted: 1 }));
    await expect(client.stats({ since: '2020-01-01T00:00:00Z' })).rejects.toMatchObject({
      errors: [{ path: 'since', message: 'must be at most 35 days ago with step=1h' }],
    });
  });

  it('to a stranger', async () => {
    const stranger = new OtpClient({ baseUrl: gateway.url, apiKey: 'nobody-knows-this-key-here' });
    const calls = [stranger.get('x'), stranger.send({ to: '1' }), stranger.sendMany([{ to: '1' }])];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'unauthorized', status: 401 });
  });
});
