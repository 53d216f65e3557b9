import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type App, plainApp } from '../../../src/otp/app.js';
import { template } from '../../support/templates.js';
import { expectProblem, settings, shopKey, startGateway } from '../gateway.js';

const to = '+60123456789';
const testNumber = '+60123456780';

const shop: App = {
  ...plainApp('shop'),
  templates: new Map([
    ['default', template({ en: 'Your code is %OTP%', ms: 'Kod anda %OTP%', zh: '验证码 %OTP%' })],
    ['reset', template({ en: '%OTP% resets your password' })],
  ]),
  freeText: false,
  senderId: 'Shop',
  countries: ['MY', 'SG'],
  limits: { recipientCooldownMs: 60_000 },
  testNumbers: new Map([[testNumber, '246810']]),
};
const apps = { of: (name: string) => (name === 'shop' ? shop : plainApp(name)) };
const gateway = await startGateway({
  dependencies: { settings: { ...settings, apps } },
  policy: { recipientPer10Minutes: 5 },
});
const send = (body: object, key = shopKey) => gateway.call('POST', '/v1/otps', { body, key });
let next = 10;
const otherNumber = () => `+601234560${next++}`;

async function messageOf(body: object): Promise<string | undefined> {
  const reply = await send({ to: otherNumber(), ...body });
  const { id } = reply.json as { id: string };
  return (await gateway.store.otps.find('shop', id))?.message;
}

const payer: App = {
  ...plainApp('shop'),
  brand: 'Shop',
  freeText: false,
  templates: new Map([
    [
      'pay',
      template(
        {
          en: 'Shop: RM{sum} to {payee}: %OTP%, valid {minutes} min',
          zh: 'Shop: 向{payee}付款RM{sum}。验证码 %OTP%',
        },
        { payee: { type: 'text', maxLength: 20 }, sum: { type: 'amount', maxLength: 9 } },
      ),
    ],
  ]),
};
const payment = (payee: string) => ({ template: 'pay', variables: { payee, sum: '5.00' } });

describe('an app of the file', () => {
  it('sends its template in the requested language', async () => {
    expect(await messageOf({})).toBe('Your code is %OTP%');
    expect(await messageOf({ locale: 'ms-MY' })).toBe('Kod anda %OTP%');
    expect(await messageOf({ locale: 'zh-Hans', template: 'default' })).toBe('验证码 %OTP%');
    expect(await messageOf({ template: 'reset', locale: 'ms' })).toBe('%OTP% resets your password');
  });

  it('may not send free text unless the operator allows it', async () => {
    expect((await send({ to: otherNumber(), message: 'Kod anda %OTP%' })).status).toBe(202);
    const reply = await send({ to: otherNumber(), message: 'Kod %OTP%' });
    expectProblem(reply, 422, 'message_not_allowed');
    expect(reply.json).toMatchObject({
      errors: [{ path: 'message', message: expect.stringContaining('template') }],
    });
  });

  it.each([
    [{ template: 'login' }, 'template', /must be one of default, reset/],
    [{ template: 'reset', message: '%OTP%' }, 'message', /combined with `template`/],
    [{ locale: 'x' }, 'locale', /language tag/],
    [{ purpose: 'Log in' }, 'purpose', /must be/],
  ])('gets the mistake in %j', async (body, path, message) => {
    const reply = await send({ to: otherNumber(), ...body });
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({ errors: [{ path, message: expect.stringMatching(message) }] });
  });

  it('sends to its own countries, under its own sender ID', async () => {
    const reply = await send({ to: '+6581234567' });
    expect(reply.status).toBe(202);
    const { id } = reply.json as { id: string };
    expect((await gateway.store.otps.find('shop', id))?.senderId).toBe('Shop');
    expectProblem(await send({ to: '+6281234567890' }), 422, 'country_not_allowed');
  });

  it('has its own limits beside the gateway’s', async () => {
    expect((await send({ to })).status).toBe(202);
    const reply = await send({ to });
    expectProblem(reply, 429, 'recipient_rate_limited');
    expect(Number(reply.headers.get('Retry-After'))).toBeGreaterThan(50);
    expect(reply.headers.get('RateLimit-Policy')).toContain('"recipient-10min";q=5');
  });

  it('has test numbers: no SMS, no limits, and a fixed code', async () => {
    for (let i = 0; i < 30; i++) expect((await send({ to: testNumber })).status).toBe(202);
    const { id } = await gateway.sent({ to: testNumber });
    expect(gateway.simulator.state.number(testNumber).calls).toBe(0);
    const verify = (code: string) => gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    expectProblem(await verify('111111'), 422, 'incorrect_code');
    expect((await verify('246810')).status).toBe(200);
  });

  it('has test numbers whose resend costs credits once they are none', async () => {
    let now: App = { ...plainApp('shop'), testNumbers: new Map([[testNumber, '246810']]) };
    const changing = await startGateway({
      dependencies: { settings: { ...settings, apps: { of: () => now } } },
    });
    const { id } = await changing.sent({ to: testNumber });
    const resent = async () => {
      const reply = await changing.call('POST', `/v1/otps/${id}/resend`);
      return await changing.store.otps.find('shop', (reply.json as { id: string }).id);
    };
    expect(await resent()).toMatchObject({ isTest: true, credits: 0 });
    now = plainApp('shop');
    expect(await resent()).toMatchObject({ isTest: false, credits: 1 });
  });

  it('does not lock test numbers after wrong codes', async () => {
    const strict = await startGateway({
      dependencies: { settings: { ...settings, apps } },
      policy: { maxWrongCodes: 1 },
    });
    const { id } = await strict.sent({ to: testNumber });
    const verify = (code: string) => strict.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    expectProblem(await verify('111111'), 422, 'incorrect_code');
    expect((await verify('246810')).status).toBe(200);
  });

  it('cannot resend a message that the operator no longer allows', async () => {
    let now = plainApp('shop');
    const changing = await startGateway({
      dependencies: { settings: { ...settings, apps: { of: () => now } } },
    });
    const { id } = await changing.sent({ to: otherNumber(), message: 'My own words %OTP%' });
    const resend = () => changing.call('POST', `/v1/otps/${id}/resend`);
    now = { ...plainApp('shop'), countries: ['SG'] };
    expectProblem(await resend(), 422, 'country_not_allowed');
    now = { ...shop, countries: ['MY'] };
    expectProblem(await resend(), 422, 'message_not_allowed');
    now = plainApp('shop');
    expect((await resend()).status).toBe(202);
  });

  it('can resend a filled-in template, unless it has no such text any more', async () => {
    let now = payer;
    const changing = await startGateway({
      dependencies: { settings: { ...settings, apps: { of: () => now } } },
    });
    const { id } = await changing.sent({ to: otherNumber(), ...payment('Kedai Ali') });
    const resend = () => changing.call('POST', `/v1/otps/${id}/resend`);
    const reply = await resend();
    expect(reply.status).toBe(202);
    const again = await changing.store.otps.find('shop', (reply.json as { id: string }).id);
    expect(again).toMatchObject({ message: 'Shop: RM5.00 to Kedai Ali: %OTP%, valid 5 min' });
    now = { ...payer, templates: new Map([...shop.templates]) };
    expectProblem(await resend(), 422, 'message_not_allowed');
    now = { ...payer, brand: 'Bank' };
    expectProblem(await resend(), 422, 'message_not_allowed');
  });

  it('can resend an amount that would be a number to call without its template', async () => {
    const bare = template({ en: 'Shop: pay {sum} baht? %OTP%' }, { sum: { type: 'amount', maxLength: 12 } });
    const bank = { ...payer, freeText: true, templates: new Map([['pay', bare]]) };
    let now: App = bank;
    const changing = await startGateway({
      dependencies: { settings: { ...settings, contentPolicy: 'enforce', apps: { of: () => now } } },
    });
    const variables = { sum: '9999999.99' };
    const { id } = await changing.sent({ to: otherNumber(), template: 'pay', variables });
    const resend = () => changing.call('POST', `/v1/otps/${id}/resend`);
    expect((await resend()).status).toBe(202);
    now = { ...bank, templates: new Map() };
    const reply = await resend();
    expectProblem(reply, 422, 'message_not_allowed');
    expect(reply.json).toMatchObject({
      detail: expect.stringMatching(
        /^The message of the earlier OTP must not hold a number .* Send a new OTP\.$/,
      ),
    });
    expect(reply.json).not.toHaveProperty('errors');
  });

  it('gains and loses keys while the API runs', async () => {
    let keys: { app: string; digest: Buffer }[] = [];
    const changing = await startGateway({ dependencies: { apiKeys: () => keys } });
    const ask = () => changing.call('GET', '/v1/otps?reference=x');
    expectProblem(await ask(), 401, 'unauthorized');
    keys = [{ app: 'shop', digest: createHash('sha256').update(shopKey).digest() }];
    expect((await ask()).status).toBe(200);
  });
});

describe('a request with variables', () => {
  const start = (app: Partial<App>, more: object = {}) =>
    startGateway({
      dependencies: { settings: { ...settings, ...more, apps: { of: () => ({ ...payer, ...app }) } } },
    });

  it('sends the template with its values, at the price of its own characters', async () => {
    const { call, store } = await start({});
    const otpOf = async (body: object) => {
      const reply = await call('POST', '/v1/otps', { body: { to: otherNumber(), ...body } });
      return store.otps.find('shop', (reply.json as { id: string }).id);
    };
    expect(await otpOf({ ...payment('Kedai Ali'), ttlSeconds: 179 })).toMatchObject({
      message: 'Shop: RM5.00 to Kedai Ali: %OTP%, valid 2 min',
      unicode: false,
      credits: 1,
    });
    expect(await otpOf({ ...payment('大众书局'), locale: 'zh' })).toMatchObject({
      message: 'Shop: 向大众书局付款RM5.00。验证码 %OTP%',
      unicode: true,
    });
  });

  it.each([
    [{ template: 'pay' }, ['variables.payee', 'variables.sum']],
    [{ template: 'pay', variables: { payee: 'Ali' } }, ['variables.sum']],
    [{ ...payment('x'.repeat(21)) }, ['variables.payee']],
    [{ ...payment('bit.ly/x') }, ['variables.payee']],
    [{ template: 'pay', variables: { payee: 'Ali', sum: 5 } }, ['variables.sum']],
    [{ template: 'pay', variables: { payee: 'Ali', sum: '5', note: 'x' } }, ['variables.note']],
    [{ template: 'pay', variables: { payee: 'Ali', sum: '5', '+60123456789': 'x' } }, ['variables.?']],
    [{ template: 'pay', variables: ['Ali'] }, ['variables']],
    [{ ...payment('Ali, reply your IC') }, ['variables']],
    [{ ...payment('Ali'), ttlSeconds: 59 }, ['ttlSeconds']],
    [
      { template: 'pay', variables: JSON.parse('{"__proto__": "x", "payee": "Ali", "sum": "5"}') },
      ['variables.__proto__'],
    ],
    [{ message: 'Shop %OTP%', variables: { payee: 'Ali' } }, ['variables']],
    [{ variables: { payee: 'Ali' } }, ['variables.payee']],
  ])('names the paths of what is wrong in %j', async (body, paths) => {
    const { call } = await start({});
    const reply = await call('POST', '/v1/otps', { body: { to: otherNumber(), ...body } });
    expectProblem(reply, 400, 'invalid_request');
    const { errors } = reply.json as { errors: { path: string }[] };
    expect(errors.map(({ path }) => path)).toEqual(paths);
    expect(reply.text).not.toMatch(/60123456789|bit\.ly|xxxxx/);
  });

  it('gets a short answer to many variables', async () => {
    const { call } = await start({});
    const variables = Object.fromEntries(Array.from({ length: 1_500 }, (_, n) => [`v${n}`, '']));
    const reply = await call('POST', '/v1/otps', { body: { to: otherNumber(), template: 'pay', variables } });
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({
      errors: [{ path: 'variables', message: 'must have at most 20 members' }],
    });
  });

  it('is replayed under its idempotency key in any order of its members, and refused with other values', async () => {
    const perDay = { per10Minutes: 0, perDay: 9 };
    const limitKeys = new Map([['user', perDay]]).set('device', perDay);
    const { call } = await start({ limitKeys });
    const recipient = otherNumber();
    const ask = (variables: object, keys: object) =>
      call('POST', '/v1/otps', {
        body: { to: recipient, template: 'pay', variables, limitKeys: keys },
        headers: { 'Idempotency-Key': 'pay-1' },
      });
    const first = await ask({ payee: 'Ali', sum: '5.00' }, { user: 'u', device: 'd' });
    const again = await ask({ sum: '5.00', payee: 'Ali' }, { device: 'd', user: 'u' });
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
    expect(again.json).toMatchObject({ id: (first.json as { id: string }).id });
    const other = await ask({ payee: 'Abu', sum: '5.00' }, { user: 'u', device: 'd' });
    expectProblem(other, 422, 'idempotency_key_reused');
  });

  it('may be a line of an upload', async () => {
    const { call, store } = await start({});
    const to = () => otherNumber();
    const otps = [
      { to: to(), ...payment('Ali') },
      { to: to(), ...payment('Abu') },
      { to: to(), template: 'pay' },
    ];
    const upload = async (lines: object[]) =>
      (await call('POST', '/v1/otps/bulk', { body: { otps: lines }, headers: { 'Idempotency-Key': 'b' } }))
        .json as { results: { id?: string; code?: string; message?: string }[] };
    const { results } = await upload(otps);
    expect(results[2]).toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('variables.payee'),
    });
    const found = await Promise.all(results.slice(0, 2).map(({ id = '' }) => store.otps.find('shop', id)));
    expect(found.map((otp) => otp?.message)).toEqual(
      ['Ali', 'Abu'].map((payee) => `Shop: RM5.00 to ${payee}: %OTP%, valid 5 min`),
    );
    const changed = await upload([{ ...otps[0], ...payment('Eve') }]);
    expect(changed.results[0]?.code).toBe('idempotency_key_reused');
  });
});

describe('the brand of an app', () => {
  const branded = { ...plainApp('shop'), brand: 'Kedai Ali' };
  const start = (contentPolicy: 'off' | 'enforce', app: App = branded) => {
    const defaultMessage = 'Your {brand} code is %OTP%';
    const own = { ...settings, contentPolicy, defaultMessage, allowedCountries: ['MY', 'SG'] };
    return startGateway({ dependencies: { settings: { ...own, apps: { of: () => app } } } });
  };

  it.each(['off', 'enforce'] as const)(
    'is demanded in messages to Malaysia, with CONTENT_POLICY=%s',
    async (policy) => {
      const { call } = await start(policy);
      const ask = (recipient: string, message: string) =>
        call('POST', '/v1/otps', { body: { to: recipient, message } });
      const reply = await ask(otherNumber(), 'Your code is %OTP%');
      expectProblem(reply, 422, 'message_not_allowed');
      expect(reply.json).toMatchObject({
        errors: [
          { path: 'message', message: expect.stringContaining('must name the brand of the app, Kedai Ali') },
        ],
      });
      expect((await ask(otherNumber(), '%OTP% for KEDAI  ali')).status).toBe(202);
      expect((await ask('+6581234567', 'Your code is %OTP%')).status).toBe(202);
    },
  );

  it('is in the default message, which reads well without one', async () => {
    const messageFrom = async (app: App) => {
      const { call, store } = await start('enforce', app);
      const reply = await call('POST', '/v1/otps', { body: { to: otherNumber() } });
      return (await store.otps.find('shop', (reply.json as { id: string }).id))?.message;
    };
    expect(await messageFrom(branded)).toBe('Your Kedai Ali code is %OTP%');
    expect(await messageFrom(plainApp('shop'))).toBe('Your code is %OTP%');
  });
});
