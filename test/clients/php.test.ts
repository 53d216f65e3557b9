import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { problem, startScriptedServer } from '../../packages/client/test/scripted-server.js';
import type { OpenApiDocument, Operation } from '../../src/api/docs/openapi.js';
import {
  balanceSchema,
  batchOtpSchema,
  batchSchema,
  historySchema,
  otpSchema,
  verifiedSchema,
} from '../../src/api/routes/schemas.js';
import { appsFileWithVariables, startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { startLosingProxy } from './php/losing-proxy.js';
import { type PhpError, runPhp } from './php/run-php.js';

await connect();
const gateway = await startFullGateway({
  LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0',
  APPS_FILE: appsFileWithVariables(),
});
afterAll(() => gateway.close());

type Json = Record<string, unknown>;
const value = async <T = Json>(code: string, url = gateway.url): Promise<T> => {
  const result = await runPhp<T>(code, { url, key: gateway.key });
  expect(result.error).toBeUndefined();
  return result.value as T;
};
const error = async (code: string): Promise<PhpError> => {
  const result = await runPhp(code, gateway);
  expect(result.value).toBeUndefined();
  return result.error as PhpError;
};
/** Expects what an answer's schema says, with no member more or less. */
const expectShape = (schema: z.ZodType, answer: unknown) => expect(schema.parse(answer)).toEqual(answer);
const wrong = (code: string) => (code === '000000' ? '000001' : '000000');
/** Sends an OTP to a number of its own; returns it and its code. */
let numbers = 0;
const sent = async (members = '') => {
  const to = `+6012345${6_000 + numbers++}`;
  const otp = await value(`return $otps->send(['to' => '${to}', ${members}], waitSeconds: 20);`);
  expect(otp).toMatchObject({ to, status: 'sent' });
  return { id: String(otp['id']), to, code: gateway.codeOf(to), otp };
};

/** PHP calls that reach each operation of the API, with `{id}` for the id. */
const reached: Record<string, string> = {
  createOtp: "send(['to' => '0123456789'])",
  resendOtp: "resend('{id}')",
  getOtp: "get('{id}')",
  listOtps: 'listOtps()->current()',
  cancelOtp: "cancel('{id}')",
  verifyOtp: "verify('{id}', '123456')",
  verifyOtpByNumber: "verifyByNumber(['to' => '0123456789', 'code' => '123456'])",
  createOtps: "sendMany([['to' => '0123456789']])",
  listBatches: 'listBatches()->current()',
  changeBatch: "changeBatch('{id}', ['paused' => true])",
  getBatch: "getBatch('{id}')",
  getBatchOtps: "listBatch('{id}')->current()",
  cancelBatch: "cancelBatch('{id}')",
  getBalance: 'balance()',
  getBalanceHistory: 'balanceHistory()->current()',
  getStats: 'stats()',
};

describe("the PHP client and the gateway's OpenAPI document", async () => {
  const document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as OpenApiDocument;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, ...(operation as Operation) })),
  );
  const ofApps = operations.filter(
    ({ tags }) => !tags.some((tag) => ['Health', 'Documentation'].includes(tag)),
  );

  it('agree on every operation', async () => {
    const server = await startScriptedServer();
    for (const { operationId, method, path } of ofApps) {
      server.plays(problem('otp_not_found'));
      await runPhp(`$otps->${reached[operationId]};`, { url: server.url, key: gateway.key });
      const [request] = server.requests;
      const [target = ''] = decodeURIComponent(request?.path ?? '').split('?');
      expect(`${request?.method} ${target}`).toBe(`${method.toUpperCase()} ${path}`);
    }
  });

  it('agree on the members of an OTP to send', async () => {
    const types = await value<string>('return (new ReflectionClass(OtpClient::class))->getDocComment();');
    const membersOf = (type: string) => {
      const shape = new RegExp(`${type} array\\{([^}]*)\\}`).exec(types)?.[1] ?? '';
      return [...shape.matchAll(/(\w+)\??: /g)].map(([, name]) => name).sort();
    };
    const { properties } = document.components.schemas['OtpRequest'] ?? {};
    const members = Object.keys(properties ?? {}).sort();
    expect(members).toContain('to');
    expect(membersOf('OtpInput')).toEqual(members);
    expect(membersOf('OtpDefaults')).toEqual(members.filter((name) => name !== 'to'));
  });
});

describe('the PHP client', () => {
  it('sends an OTP, reads it by id and by reference, and verifies its code once', async () => {
    const { id, code, otp } = await sent(
      "'reference' => 'order & 1+1', 'purpose' => null, 'ttlSeconds' => 60",
    );
    expectShape(otpSchema, otp);
    const text = expect.any(String);
    expect(otp).toMatchObject({ uuid: text, smsId: text, sentAt: text, expiresAt: text });
    expect(await value(`return $otps->get('${id}');`)).toEqual(otp);
    expect(await value(`return $otps->findByReference('order & 1+1');`)).toEqual([otp]);
    expect(await value(`return $otps->findByReference('nothing');`)).toEqual([]);
    const { id: newer } = await sent("'purpose' => 'listed'");
    const listed = `return array_map(fn ($otp) => $otp->id, iterator_to_array($otps->listOtps(`;
    expect(await value(`${listed}since: '${otp['createdAt']}', limit: 1)));`)).toEqual([newer, id]);
    expect(await value(`${listed}status: 'sent', purpose: 'listed')));`)).toEqual([newer]);
    expect(await value(`${listed}until: '${otp['createdAt']}', purpose: 'listed')));`)).toEqual([]);
    expect(await error(`$otps->verify('${id}', '${wrong(code)}');`)).toMatchObject({
      ...{ class: 'IsmsOtp\\OtpError', code: 'incorrect_code', status: 422, attemptsRemaining: 4 },
      requestId: expect.any(String),
      idempotencyKey: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const verified = await value(`return $otps->verify('${id}', '${code}');`);
    expectShape(verifiedSchema, verified);
    expect(verified).toMatchObject({ id, status: 'verified' });
    expect(await error(`$otps->verify('${id}', '${code}');`)).toMatchObject({
      code: 'already_verified',
      status: 409,
    });
  });

  it('verifies a code only for what it approves', async () => {
    const { id, code } = await sent("'binding' => 'MYR 5', 'limitKeys' => null");
    expect(await error(`$otps->verify('${id}', '${code}', binding: 'MYR 6');`)).toMatchObject({
      ...{ code: 'binding_mismatch', status: 422, attemptsRemaining: 4 },
    });
    const verified = await value(`return $otps->verify('${id}', '${code}', binding: 'MYR 5');`);
    expect(verified).toMatchObject({ id, status: 'verified' });
    expect(await error(`$otps->send(['to' => '1', 'limitKeys' => ['user' => 'u-1']]);`)).toMatchObject({
      code: expect.stringMatching(/^invalid_(?:request|phone_number)$/),
    });
  });

  it('fills in the variables of a template; an empty array is none', async () => {
    await sent("'template' => 'pay', 'variables' => ['payee' => 'Kedai Ali', 'sum' => '5.00']");
    expect(gateway.simulator.state.inbox({ limit: 1 })[0]?.text).toMatch(/RM5\.00 to Kedai Ali: \d{6}$/);
    await sent("'variables' => []");
    const wrongType = await error(
      `$otps->send(['to' => '0123456789', 'template' => 'pay', 'variables' => ['payee' => 'Ali', 'sum' => 'much']]);`,
    );
    expect(wrongType).toMatchObject({ code: 'invalid_request', status: 400 });
    expect(wrongType.message).toContain('variables.sum');
  });

  it('sends one SMS for an idempotency key', async () => {
    const code = `return $otps->send(['to' => '+60123457001'], idempotencyKey: 'order-1');`;
    expect(await value(code)).toMatchObject({ id: (await value(code))['id'] });
  });

  it('waits until an OTP is sent, or has failed', async () => {
    const waited = "return $otps->waitUntilSent($otps->send(['to' => $to])->id);";
    expect(await value(`$to = '+60123457002'; ${waited}`)).toMatchObject({ status: 'sent', failure: null });
    // The simulator refuses numbers that end so.
    const failed = await value(`$to = '+60190000002'; ${waited}`);
    expectShape(otpSchema, failed);
    expect(failed).toMatchObject({ status: 'failed', failure: { code: expect.any(String) } });
    expect(await error("$otps->waitUntilSent('otp_unknown');")).toMatchObject({ code: 'otp_not_found' });
  });

  it('verifies by number and purpose', async () => {
    const { id, to, code } = await sent("'purpose' => 'login'");
    const verify = (purpose: string) =>
      `return $otps->verifyByNumber(['to' => '${to}', 'code' => '${code}', 'purpose' => ${purpose}]);`;
    expect(await error(verify('null'))).toMatchObject({ code: 'otp_not_found' });
    expect(await value(verify("'login'"))).toMatchObject({ id, status: 'verified' });
  });

  it('resends an OTP with another code', async () => {
    const { id, to, code } = await sent("'reference' => 'again'");
    const resend = `$otps->resend('${id}', clientIp: '192.0.2.1', idempotencyKey: 'resend', waitSeconds: 20)`;
    const second = await value(`return ${resend};`);
    expect(second).toMatchObject({ to, reference: 'again', status: 'sent' });
    expect(await value(`return ${resend};`)).toMatchObject({ id: second['id'] });
    expect(await error(`$otps->verify('${id}', '${code}');`)).toMatchObject({ code: 'otp_cancelled' });
    const next = gateway.codeOf(to);
    expect(await value(`return $otps->verify('${second['id']}', '${next}');`)).toMatchObject({
      status: 'verified',
    });
    expect(await value(`return $otps->resend($otps->send(['to' => '${to}'])->id);`)).toMatchObject({ to });
  });

  it('cancels an OTP', async () => {
    const { id } = await sent();
    expect(await value(`$otps->cancel('${id}'); return $otps->get('${id}');`)).toMatchObject({
      status: 'cancelled',
    });
    expect(await error("$otps->cancel('otp_unknown');")).toMatchObject({ code: 'otp_not_found' });
  });

  it('uploads a batch from a generator, reads, changes, lists and cancels it', async () => {
    const startAt = new Date(Date.now() + 60_000);
    const { summary, results } = await value<{ summary: Json; results: Json[] }>(`
      $many = function () {
        for ($i = 0; $i < 250; $i += 1) yield ['to' => '012' . (3_000_000 + $i), 'purpose' => null];
        yield ['to' => 'nonsense'];
      };
      $results = [];
      $summary = $otps->sendMany(
        $many(),
        name: 'Friday',
        startAt: new DateTimeImmutable('${startAt.toISOString()}'),
        perSecond: 50,
        defaults: ['reference' => 'many'],
        onResult: function ($result) use (&$results) { $results[] = $result; },
      );
      return ['summary' => $summary, 'results' => $results];`);
    expect(summary).toEqual({ batchId: expect.any(String), accepted: 250, rejected: 1 });
    expect(results.map((result) => result['index'])).toEqual(Array.from({ length: 251 }, (_, i) => i));
    expect(results[0]).toEqual({ index: 0, id: expect.stringMatching(/^otp_/), code: null, message: null });
    expect(results.at(-1)).toMatchObject({ id: null, code: 'invalid_phone_number' });
    const id = String(summary['batchId']);
    const batch = await value(`return $otps->getBatch('${id}');`);
    expectShape(batchSchema, batch);
    expect(batch).toMatchObject({ name: 'Friday', perSecond: 50, status: 'scheduled', waiting: 250 });
    expect(batch['startAt']).toBe(startAt.toISOString());
    const listed = await value<Json[]>(
      "return iterator_to_array($otps->listBatches(status: 'scheduled', since: new DateTime('-1 hour')));",
    );
    expect(listed).toEqual([batch]);
    const change = `['paused' => true, 'perSecond' => null, 'startAt' => new DateTime('+2 minutes')]`;
    expect(await value(`return $otps->changeBatch('${id}', ${change});`)).toMatchObject({
      status: 'paused',
      perSecond: null,
    });
    const all = `iterator_to_array($otps->listBatch('${id}', status: 'queued', limit: 30))`;
    const otps = await value<Json[]>(`return ${all};`);
    expectShape(z.array(batchOtpSchema), otps);
    expect(otps.map((otp) => otp['id'])).toEqual(results.slice(0, 250).map((result) => result['id']));
    expect(otps[0]).toMatchObject({ reference: 'many' });
    expect(await value(`$otps->cancelBatch('${id}'); return ${all};`)).toEqual([]);
    expect(await error("$otps->getBatch('batch_unknown');")).toMatchObject({ code: 'batch_not_found' });
  });

  it('reads the balance and its history', async () => {
    const balance = await value('return $otps->balance(refresh: true);');
    expectShape(balanceSchema, balance);
    const history = await value<Json[]>(
      "return iterator_to_array($otps->balanceHistory(since: '2020-01-01T00:00:00Z'));",
    );
    expectShape(historySchema.shape.snapshots, history);
    const { checkedAt: at, credits, expiresOn } = balance;
    expect(expiresOn).not.toBeNull();
    expect(history).toContainEqual({ at, credits, expiresOn });
  });

  it('reads statistics', async () => {
    await error("$otps->send(['to' => '1']);");
    await sent("'purpose' => 'stats'");
    const read = "return $otps->stats(by: 'purpose', since: new DateTimeImmutable('-1 hour'), step: '5m');";
    await expect
      .poll(() => value<{ rows: Json[] }>(read))
      .toMatchObject({
        by: 'purpose',
        step: '5m',
        rows: expect.arrayContaining([
          expect.objectContaining({ group: 'stats', accepted: 1, sent: 1, credits: 1, conversion: 0 }),
          expect.objectContaining({
            group: null,
            rejected: expect.objectContaining({ invalid_phone_number: expect.any(Number) }),
          }),
        ]),
      });
  });

  it('throws the errors of the gateway', async () => {
    expect(await error("$otps->verify('otp_1', 'abc');")).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'code', message: expect.any(String) }],
    });
    for (const call of ["get('x')", "send(['to' => '1'])", "sendMany([['to' => '1']])"]) {
      expect(await error(`client(apiKey: 'nobody-knows-this-key-here')->${call};`)).toMatchObject({
        class: 'IsmsOtp\\OtpError',
        code: 'unauthorized',
        status: 401,
      });
    }
  });

  it('waits as long as Retry-After says only where that is short', async () => {
    const phone = "['to' => '+60123457005']";
    const limited = await error(`for (;;) $otps->send(${phone});`);
    expect(limited).toMatchObject({ code: 'recipient_rate_limited', status: 429 });
    expect(limited['retryAfterSeconds']).toBeGreaterThan(5);
  });

  it('sends once, and verifies, over connections that break before the answer', async () => {
    const proxy = await startLosingProxy(gateway.url);
    const { id, code } = await sent();
    const to = '+60123457006';
    proxy.loseAnswers(2);
    expect(await value(`return $otps->send(['to' => '${to}']);`, proxy.url)).toMatchObject({ to });
    expect(proxy.lost).toBe(2);
    await expect.poll(() => gateway.codeOf(to)).toMatch(/^\d{6}$/);
    expect(gateway.simulator.state.inbox({ mobile: to, limit: 10 })).toHaveLength(1);
    proxy.loseAnswers(1);
    expect(await value(`return $otps->verify('${id}', '${code}');`, proxy.url)).toMatchObject({ id });
    expect(proxy.lost).toBe(3);
    expect(await value(`return $otps->get('${id}');`)).toMatchObject({ attemptsRemaining: 4 });
  });

  it('uploads each OTP once, over a connection that breaks before the answer', async () => {
    const proxy = await startLosingProxy(gateway.url);
    proxy.loseAnswers(1, '"summary"');
    const upload =
      "return $otps->sendMany([['to' => '+60123457007', 'reference' => 'line-1'], ['to' => '+60123457008']]);";
    expect(await value(upload, proxy.url)).toMatchObject({ accepted: 2, rejected: 0 });
    expect(proxy.lost).toBe(1);
    expect(await value("return $otps->findByReference('line-1');")).toHaveLength(1);
  });
});
