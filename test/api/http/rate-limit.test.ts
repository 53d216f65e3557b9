import { describe, expect, it } from 'vitest';
import { type App, plainApp } from '../../../src/otp/app.js';
import type { RequestSettings } from '../../../src/producer/otp-request.js';
import type { Policy } from '../../../src/store/script.js';
import { number } from '../../support/otps.js';
import { bankKey, expectProblem, type Gateway, type Reply, settings, startGateway } from '../gateway.js';

const limits: Partial<Policy> = {
  recipientPer10Minutes: 2,
  recipientPerDay: 10,
  appPerSecond: 1_000,
  clientIpPer10Minutes: 3,
  maxWrongCodes: 2,
};
const gateway = await startGateway({ policy: limits });
const limitKeys = { user: 'u-4711' };
const settingsWith = (ofKinds: App['limitKeys']): RequestSettings => ({
  ...settings,
  apps: { of: (name) => ({ ...plainApp(name), limitKeys: ofKinds }) },
});
const withLimitKeys = settingsWith(
  new Map([
    ['user', { per10Minutes: 3, perDay: 0 }],
    ['device', { per10Minutes: 0, perDay: 1 }],
  ]),
);
const withKeys = startGateway({ dependencies: { settings: withLimitKeys } });
const ask = (body: object, to: Gateway = gateway) => to.call('POST', '/v1/otps', { body });
const retryAfter = (reply: Reply) => Number(reply.headers.get('Retry-After'));

describe('an accepted OTP', () => {
  it('names the active limits and their remaining quotas in the IETF draft’s headers', async () => {
    const reply = await ask({ to: '0123450001', clientIp: '198.51.100.1' });
    expect(reply.status).toBe(202);
    expect(reply.headers.get('RateLimit-Policy')).toBe(
      '"recipient-10min";q=2;w=600, "recipient-day";q=10;w=86400, "app";q=1000;w=1, "client-ip";q=3;w=600',
    );
    expect(reply.headers.get('RateLimit')).toMatch(
      /^"recipient-10min";r=1;t=600, "recipient-day";r=9;t=86400, "app";r=\d+;t=1, "client-ip";r=2;t=600$/,
    );
  });

  it('logs rule and id of a message with a link when CONTENT_POLICY is warn', async () => {
    const warning = await startGateway({
      dependencies: { settings: { ...settings, contentPolicy: 'warn' } },
    });
    const reply = await ask({ to: '0123450003', message: 'Use %OTP% at https://example.com/login' }, warning);
    expect(reply.status).toBe(202);
    expect(warning.logs.filter((line) => line.includes('otp.message_not_allowed'))).toHaveLength(1);
    expect(warning.logs.join()).not.toContain('example.com');
  });

  it('is replayed under its key even when its limits are used up', async () => {
    const call = () =>
      gateway.call('POST', '/v1/otps', {
        body: { to: '0123450005' },
        headers: { 'Idempotency-Key': 'k' },
      });
    for (let i = 0; i < 4; i++) expect((await call()).status).toBe(202);
  });
});

describe('a rejected message', () => {
  it('with a link to a Malaysian number is message_not_allowed and names the rule', async () => {
    const reply = await ask({ to: '0123450002', message: 'Use %OTP% at https://example.com/login' });
    expectProblem(reply, 422, 'message_not_allowed');
    expect(reply.json).toMatchObject({
      errors: [{ path: 'message', message: expect.stringMatching(/link/) }],
    });
  });
});

describe('an OTP over the budget of its app', () => {
  it('is app_budget_exceeded until the day ends, single and as a line of an upload', async () => {
    const { call } = await startGateway({ policy: { creditsPerDay: 1 } });
    expect((await call('POST', '/v1/otps', { body: { to: '0123450101' } })).status).toBe(202);
    const reply = await call('POST', '/v1/otps', { body: { to: '0123450102' } });
    expectProblem(reply, 429, 'app_budget_exceeded');
    expect(retryAfter(reply)).toBeGreaterThan(0);
    expect(retryAfter(reply)).toBeLessThanOrEqual(86_400);
    expect(reply.json).toMatchObject({ detail: "The app's credits of today are spent." });
    const bulk = await call('POST', '/v1/otps/bulk', { body: { otps: [{ to: '0123450103' }] } });
    expect(bulk.json).toMatchObject({ rejected: 1, results: [{ code: 'app_budget_exceeded' }] });
  });
});

describe('an OTP over a limit', () => {
  it('over the limit of the number is recipient_rate_limited, with the seconds to wait', async () => {
    for (let i = 0; i < 2; i++) await ask({ to: '0123450004' });
    const reply = await ask({ to: '012-345 0004' });
    expectProblem(reply, 429, 'recipient_rate_limited');
    expect(retryAfter(reply)).toBeGreaterThan(595);
    expect(reply.headers.get('RateLimit')).toContain('"recipient-10min";r=0');
  });

  it('within the cooldown is recipient_rate_limited, with the times of the last code and the next', async () => {
    const cooling = await startGateway({ policy: { recipientCooldownMs: 30_000 } });
    const first = await ask({ to: '0123450006' }, cooling);
    expect(first.headers.get('RateLimit-Policy')).toContain('"recipient-cooldown";q=1;w=30');
    expect(first.headers.get('RateLimit')).toContain('"recipient-cooldown";r=0;t=30');
    const reply = await ask({ to: '0123450006' }, cooling);
    expectProblem(reply, 429, 'recipient_rate_limited');
    expect(reply.json).toMatchObject({
      detail: expect.stringMatching(
        /^The last code to this number was requested (just now|\d+ s ago); try again in \d+ s\.$/,
      ),
    });
    expect(reply.headers.get('RateLimit')).toMatch(/"recipient-cooldown";r=0;t=\d+/);
    expect(retryAfter(reply)).toBeGreaterThan(15);
  });

  it('over the limit of the client address is client_ip_rate_limited', async () => {
    const from = (n: number) => ask({ to: `01234510${n}0`, clientIp: '203.0.113.9' });
    for (const n of [1, 2, 3]) expect((await from(n)).status).toBe(202);
    expectProblem(await from(4), 429, 'client_ip_rate_limited');
  });

  it('over the limit of a limit key is limit_key_rate_limited: single, resent, or a line of an upload', async () => {
    const { call, redis, send } = await startGateway({ dependencies: { settings: withLimitKeys } });
    const sendTo = (n: number) => call('POST', '/v1/otps', { body: { to: `01234530${n}0`, limitKeys } });
    const first = await sendTo(1);
    expect(first.headers.get('RateLimit-Policy')).toBe('"limit-key-user-10min";q=3;w=600');
    expect(first.headers.get('RateLimit')).toBe('"limit-key-user-10min";r=2;t=600');
    const { id } = first.json as { id: string };
    await send(id);
    const again = await call('POST', `/v1/otps/${id}/resend`);
    expect(again.headers.get('RateLimit')).toContain('"limit-key-user-10min";r=1');
    const lines = [2, 3].map((n) => ({ to: `01234530${n}0`, limitKeys }));
    const bulk = await call('POST', '/v1/otps/bulk', { body: { otps: lines } });
    // Lines that arrive apart are decided at the same time: either may come first.
    const { results } = bulk.json as { results: { code?: string }[] };
    expect(results.flatMap(({ code }) => code ?? [])).toEqual(['limit_key_rate_limited']);
    const reply = await sendTo(4);
    expectProblem(reply, 429, 'limit_key_rate_limited');
    expect(reply.json).toMatchObject({
      detail: expect.stringMatching(
        /^Too many OTPs for the same `user` of `limitKeys`. Try again in \d+ s.$/,
      ),
    });
    expect(retryAfter(reply)).toBeGreaterThan(595);
    expect(reply.headers.get('RateLimit')).toMatch(/^"limit-key-user-10min";r=0;t=\d+$/);
    expectProblem(await call('POST', `/v1/otps/${id}/resend`), 429, 'limit_key_rate_limited');
    expect((await redis.keys('*')).join()).not.toContain('4711');
  });

  it.each([
    [{ usr: 'u-1' }, 'limitKeys.usr', 'is unknown: the operator defined user, device in APPS_FILE'],
    [{ user: '' }, 'limitKeys.user', 'must be 1 to 200 characters, none of them a control character'],
    [{ '60123456789': 'u-1' }, 'limitKeys.?', 'must be the name of a kind'],
    [{ a: '1', b: '2', c: '3', d: '4' }, 'limitKeys', 'must have at most 3 members'],
    [JSON.parse('{"__proto__": "u-1"}'), 'limitKeys.__proto__', 'is not allowed as a name'],
  ])('with the limit keys %j is invalid_request, and says where', async (keys, path, message) => {
    const { call } = await withKeys;
    const reply = await call('POST', '/v1/otps', { body: { to: '0123453101', limitKeys: keys } });
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({ errors: [{ path, message }] });
    const [line] = [{ to: '0123453101', limitKeys: keys }];
    const bulk = await call('POST', '/v1/otps/bulk', { body: { otps: [line] } });
    expect(bulk.json).toMatchObject({ rejected: 1, results: [{ code: 'invalid_request' }] });
  });

  it('without a limit key that the operator requires is invalid_request', async () => {
    const required = new Map([['user', { per10Minutes: 3, perDay: 0, required: true }]]);
    const { call } = await startGateway({ dependencies: { settings: settingsWith(required) } });
    const to = '0123453301';
    const reply = await call('POST', '/v1/otps', { body: { to } });
    expectProblem(reply, 400, 'invalid_request');
    const message = 'is missing: the operator requires it in APPS_FILE';
    expect(reply.json).toMatchObject({ errors: [{ path: 'limitKeys.user', message }] });
    const bulk = await call('POST', '/v1/otps/bulk', {
      body: { otps: [{ to }, { to, limitKeys: { user: 'u-5' } }] },
    });
    expect(bulk.json).toMatchObject({ accepted: 1, results: [{ code: 'invalid_request' }, { index: 1 }] });
  });

  it('with a limit key of an app that has none is invalid_request, and says who defines them', async () => {
    const reply = await ask({ to: '0123453201', limitKeys });
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({
      errors: [{ path: 'limitKeys.user', message: expect.stringMatching(/no limit keys.*APPS_FILE/) }],
    });
  });

  it('over the limit of the app is app_rate_limited', async () => {
    const slow = await startGateway({ policy: { appPerSecond: 2 } });
    const replies = await Promise.all(
      [1, 2, 3, 4].map((n) => slow.call('POST', '/v1/otps', { key: bankKey, body: { to: `012345200${n}` } })),
    );
    const refused = replies.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(2);
    for (const reply of refused) {
      expectProblem(reply, 429, 'app_rate_limited');
      expect(retryAfter(reply)).toBe(1);
    }
  });

  it('to a pumped range is range_blocked; the log names the range and no number', async () => {
    const guarded = await startGateway({ policy: { fraudGuard: 'enforce' } });
    const replies: Reply[] = [];
    for (let n = 10; n < 40; n++) replies.push(await ask({ to: `0179${n}12${n}` }, guarded));
    const pumped = await Promise.all(
      Array.from({ length: 25 }, (_, n) => ask({ to: `01755500${String(n).padStart(2, '0')}` }, guarded)),
    );
    expect(replies.every(({ status }) => status === 202)).toBe(true);
    const refused = pumped.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(5);
    for (const reply of refused) {
      expectProblem(reply, 429, 'range_blocked');
      expect(reply.json).toMatchObject({ detail: expect.stringMatching(/not verified yet/) });
    }
    expect(retryAfter(refused[0] as Reply)).toBeGreaterThan(0);
    const told = guarded.logs.filter((line) => line.includes('range.capped'));
    expect(told).toHaveLength(1);
    expect(JSON.parse(told[0] ?? '')).toMatchObject({ app: 'shop', range: '6017-555xxxx' });
    expect(guarded.logs.join()).not.toMatch(/0175550|6017555\d{4}/);
  });

  it('after too many wrong codes in a row is recipient_locked until the operator unlocks the number', async () => {
    const { id, code } = await gateway.sent({ to: '0123450009' });
    const wrong = code === '000000' ? '111111' : '000000';
    const verify = (text: string) => gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code: text } });
    for (let i = 0; i < 2; i++) expectProblem(await verify(wrong), 422, 'incorrect_code');
    expectProblem(await verify(code), 429, 'recipient_locked');
    const told = gateway.logs.filter((line) => line.includes('recipient.locked'));
    expect(told.map((line) => JSON.parse(line))).toMatchObject([
      { app: 'shop', otpId: id, to: '+60******009' },
    ]);
    expectProblem(await ask({ to: '0123450009' }), 429, 'recipient_locked');
    await gateway.store.phones.unlock('shop', number('0123450009'));
    expect((await verify(code)).status).toBe(200);
  });
});
