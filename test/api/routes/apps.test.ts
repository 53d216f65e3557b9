import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type App, plainApp } from '../../../src/otp/app.js';
import { expectProblem, settings, shopKey, startGateway } from '../gateway.js';

const to = '+60123456789';
const testNumber = '+60123456780';

const shop: App = {
  ...plainApp('shop'),
  templates: new Map([
    [
      'default',
      new Map([
        ['en', 'Your code is %OTP%'],
        ['ms', 'Kod anda %OTP%'],
        ['zh', '验证码 %OTP%'],
      ]),
    ],
    ['reset', new Map([['en', '%OTP% resets your password']])],
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
    expectProblem(reply, 429, 'phone_rate_limited');
    expect(Number(reply.headers.get('Retry-After'))).toBeGreaterThan(50);
    expect(reply.headers.get('RateLimit-Policy')).toContain('"phone-10min";q=5');
  });

  it('has test numbers: no SMS, no limits, and a fixed code', async () => {
    for (let i = 0; i < 30; i++) expect((await send({ to: testNumber })).status).toBe(202);
    const { id } = await gateway.sent({ to: testNumber });
    expect(gateway.simulator.state.number(testNumber).calls).toBe(0);
    const verify = (code: string) => gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    expectProblem(await verify('111111'), 422, 'incorrect_code');
    expect((await verify('246810')).status).toBe(200);
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

  it('gains and loses keys while the API runs', async () => {
    let keys: { app: string; digest: Buffer }[] = [];
    const changing = await startGateway({ dependencies: { apiKeys: () => keys } });
    const ask = () => changing.call('GET', '/v1/otps?reference=x');
    expectProblem(await ask(), 401, 'unauthorized');
    keys = [{ app: 'shop', digest: createHash('sha256').update(shopKey).digest() }];
    expect((await ask()).status).toBe(200);
  });
});
