import twilio from 'twilio';
import { describe, expect, it } from 'vitest';
import { plainApp } from '../../../src/otp/app.js';
import { number } from '../../support/otps.js';
import { template } from '../../support/templates.js';
import { bankKey, settings, shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
const accountSid = `AC${'a'.repeat(32)}`;
const service = `VA${'b'.repeat(32)}`;
const otherService = `VA${'c'.repeat(32)}`;

/** The official library, pointed at this gateway. */
function clientWith(key = shopKey, url = gateway.url) {
  const client = twilio(accountSid, key);
  client.verify.baseUrl = url;
  return client.verify.v2;
}
const verify = clientWith();
const start = (to: string, more: object = {}) =>
  verify.services(service).verifications.create({ to, channel: 'sms', ...more });
const check = (to: string, code: string, of = service) =>
  verify.services(of).verificationChecks.create({ to, code });

const verification = (sid: string, of = service) => verify.services(of).verifications(sid);

/** Has iSMS send what a verification queued; answers the code. */
async function sms(to: string): Promise<string> {
  const [found] = await gateway.store.phones.known(number(to));
  return await gateway.send(found?.otpIds.at(-1) ?? '');
}

/** Sends what the official library would not. */
const post = async (path: string, body: string) =>
  await gateway.call('POST', `/v2/Services/${service}/${path}`, {
    body,
    headers: {
      Authorization: `Basic ${btoa(`${accountSid}:${shopKey}`)}`,
      'Content-Type': 'application/x-www-form-urlencoded',
    },
  });

const wrong = (code: string) => (code === '000000' ? '000001' : '000000');
const failure = async (call: Promise<unknown>) =>
  await call.then(
    () => null,
    ({ status, code, message }) => ({ status, code, message }),
  );
let next = 10;
const newNumber = () => `+601234568${next++}`;

it('the Twilio Verify compatibility API takes no request without a key, also where an app has an empty one', async () => {
  const reply = await gateway.call('POST', `/v2/Services/${service}/Verifications`, {
    key: null,
    body: `To=%2B601234568${next++}&Channel=sms`,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  });
  expect(reply.status).toBe(401);
});

describe('the Twilio Verify compatibility API with the twilio library', () => {
  it('sends and checks an OTP unchanged', async () => {
    const to = newNumber();
    const verification = await start(to);
    expect(verification).toMatchObject({
      to,
      channel: 'sms',
      status: 'pending',
      valid: false,
      serviceSid: service,
    });
    expect(verification.sid).toMatch(/^VE[0-9a-f]{32}$/);
    expect(verification.dateCreated).toBeInstanceOf(Date);
    const code = await sms(to);
    expect(await check(to, wrong(code))).toMatchObject({ status: 'pending', valid: false });
    const checked = await check(to, code);
    expect(checked).toMatchObject({ sid: verification.sid, to, status: 'approved', valid: true, accountSid });
    expect(JSON.stringify([verification, checked])).not.toContain(code);
    // As Twilio has it, a verification that was approved is gone.
    expect(await failure(check(to, code))).toMatchObject({ status: 404, code: 20404 });
  });

  it('checks a verification by its sid', async () => {
    const to = newNumber();
    const { sid } = await start(to);
    const code = await sms(to);
    const checks = verify.services(service).verificationChecks;
    expect(await checks.create({ verificationSid: sid, code })).toMatchObject({ status: 'approved' });
    const unknown = checks.create({ verificationSid: `VE${'0'.repeat(32)}`, code });
    expect(await failure(unknown)).toMatchObject({ status: 404, code: 20404 });
  });

  it('cannot check an OTP with a binding, which Twilio’s parameters do not have', async () => {
    const to = newNumber();
    const purpose = service.slice('VA'.length).toLowerCase();
    const { id, code } = await gateway.sent({ to, purpose, binding: 'MYR 5 to Acme' });
    const message = expect.stringMatching(/^[^`]*only the REST API[^`]*$/);
    expect(await failure(check(to, code))).toMatchObject({ status: 422, code: 20422, message });
    const body = { code, binding: 'MYR 5 to Acme' };
    expect((await gateway.call('POST', `/v1/otps/${id}/verify`, { body })).status).toBe(200);
  });

  it('checks by sid only a verification of the same service and number', async () => {
    const to = newNumber();
    const { sid } = await start(to);
    const code = await sms(to);
    const checkSid = (of: string, more: object = {}) =>
      verify.services(of).verificationChecks.create({ verificationSid: sid, code, ...more });
    expect(await failure(checkSid(otherService))).toMatchObject({ code: 20404 });
    expect(await failure(checkSid(service, { to: newNumber() }))).toMatchObject({ code: 20404 });
    expect(await checkSid(service, { to })).toMatchObject({ status: 'approved' });
  });

  it('keeps services apart', async () => {
    const to = newNumber();
    await start(to);
    const code = await sms(to);
    expect(await failure(check(to, code, otherService))).toMatchObject({ status: 404, code: 20404 });
    expect(await check(to, code)).toMatchObject({ status: 'approved' });
  });

  it.each([
    ['a number that is none', () => start('+6012'), 400, 60200],
    ['another country', () => start('+6281234567890'), 403, 60605],
    ['another channel', () => start(newNumber(), { channel: 'call' }), 400, 60200],
    ['a code that is none', () => check(newNumber(), 'abc'), 400, 60200],
    ['a number that nothing was sent to', () => check(newNumber(), '123456'), 404, 20404],
    [
      'another key',
      () =>
        clientWith('x'.repeat(30))
          .services(service)
          .verifications.create({ to: newNumber(), channel: 'sms' }),
      401,
      20003,
    ],
    [
      'a service that is none',
      () => verify.services('VA1').verifications.create({ to: newNumber(), channel: 'sms' }),
      404,
      20404,
    ],
  ])('gets Twilio’s own error for %s', async (_what, call, status, code) => {
    expect(await failure(call())).toMatchObject({ status, code, message: expect.any(String) });
  });

  it.each([
    ['a code of its own', { customCode: '123456' }],
    ['a name in the text', { customFriendlyName: 'Shop' }],
    ['an amount', { amount: '€39.99' }],
    ['a payee', { payee: 'Shop' }],
    ['rate limits of a service', { rateLimits: { end_user_ip_address: '203.0.113.7' } }],
    ['an app hash', { appHash: 'He42w354ol9' }],
    ['substitutions', { templateCustomSubstitutions: '{"name":"Shop"}' }],
    ['a list of templates', { templates: `[{"sid":"HJ${'a'.repeat(32)}"}]` }],
    ['no protection from fraud', { riskCheck: 'disable' as const }],
  ])('gets no verification with %s, which would be another SMS', async (_what, more) => {
    const to = newNumber();
    const [name = ''] = Object.keys(more).map((key) => key.replace(/^./, (letter) => letter.toUpperCase()));
    expect(await failure(start(to, more))).toEqual({
      status: 403,
      code: 60204,
      message: expect.stringContaining(name),
    });
    expect(await gateway.store.phones.known(number(to))).toEqual([]);
  });

  it('accepts parameters that do not change the SMS', async () => {
    const harmless = {
      tags: '{"campaign":"spring"}',
      riskCheck: 'enable',
      sendDigits: '1234',
      channelConfiguration: { from: 'shop@example.com' },
      enableSnaClientToken: false,
    };
    expect(await start(newNumber(), harmless)).toMatchObject({ status: 'pending' });
  });

  it('rejects a parameter that Twilio does not have', async () => {
    const body = new URLSearchParams({ To: '+60123456798', Channel: 'sms', Mesage: 'Kod %OTP%' }).toString();
    const reply = await post('Verifications', body);
    expect(reply.json).toMatchObject({
      status: 400,
      code: 60200,
      message: expect.stringContaining('Mesage'),
    });
    expect(await gateway.store.phones.known(number('+60123456798'))).toEqual([]);
  });

  it.each([
    ['two numbers', 'To=%2B60123456797', '', 'To'],
    ['two texts', 'CustomMessage=Kod+%25OTP%25&CustomMessage=Code+%25OTP%25', '', 'CustomMessage'],
    ['a text in broken UTF-8', 'CustomMessage=caf%E9+%25OTP%25', '', 'UTF-8'],
    ['a code in the query', '', '?CustomCode=123456', 'query'],
    ['a text in the query', '', '?CustomMessage=Kod+%25OTP%25', 'query'],
    ['an empty text', 'CustomMessage=', '', 'CustomMessage'],
  ])('gets no verification with %s', async (_what, form, query, named) => {
    const body = `To=%2B60123456798&Channel=sms&${form}`;
    const reply = await post(`Verifications${query}`, body);
    expect(reply.json).toMatchObject({ status: 400, code: 60200, message: expect.stringContaining(named) });
    expect(await gateway.store.phones.known(number('+60123456798'))).toEqual([]);
    expect(await gateway.store.phones.known(number('+60123456797'))).toEqual([]);
  });

  it('rejects a check with two codes or a query without counting an attempt', async () => {
    const to = newNumber();
    await start(to);
    const code = await sms(to);
    const body = new URLSearchParams({ To: to, Code: code }).toString();
    for (const reply of [
      await post('VerificationCheck', `${body}&Code=${wrong(code)}`),
      await post('VerificationCheck?Code=1', body),
    ]) {
      expect(reply.json).toMatchObject({ status: 400, code: 60200 });
    }
    expect(await check(to, code)).toMatchObject({ status: 'approved' });
  });

  it('sends a template only in a language that it has', async () => {
    const templates = new Map([
      ['default', template({ ms: 'Kod anda %OTP%' })],
      ['reset', template({ en: '%OTP% resets your password' })],
    ]);
    const shop = { ...plainApp('shop'), templates };
    const apps = { of: (name: string) => (name === 'shop' ? shop : plainApp(name)) };
    const { url, store } = await startGateway({ dependencies: { settings: { ...settings, apps } } });
    const create = async (more: object, key = shopKey) => {
      const to = newNumber();
      const { sid } = await clientWith(key, url)
        .services(service)
        .verifications.create({ to, channel: 'sms', ...more });
      const [id = ''] = await store.phones.idsOfApp(key === shopKey ? 'shop' : 'bank', number(to));
      expect(sid).toMatch(/^VE/);
      return (await store.otps.find(key === shopKey ? 'shop' : 'bank', id))?.message;
    };
    expect(await create({ locale: 'ms-MY' })).toBe('Kod anda %OTP%');
    expect(await create({ locale: 'en', templateSid: 'reset' })).toBe('%OTP% resets your password');
    expect(await create({ locale: 'fr', customMessage: '%OTP% pour vous' })).toBe('%OTP% pour vous');
    const invalidLocale = { status: 400, code: 60200, message: expect.stringContaining('Locale') };
    expect(await failure(create({ locale: 'en' }))).toEqual(invalidLocale);
    expect(await failure(create({ locale: 'ms', templateSid: 'reset' }))).toEqual(invalidLocale);
    expect(await failure(create({ locale: 'en' }, bankKey))).toEqual(invalidLocale);
    expect(await failure(create({ templateSid: 'HJ1' }))).toMatchObject({ status: 400, code: 60228 });
  });

  it.each([{ amount: '€39.99' }, { payee: 'Shop' }, { snaClientToken: 'token' }])(
    'gets no check that is to be bound to %o',
    async (more) => {
      const to = newNumber();
      await start(to);
      const code = await sms(to);
      const bound = verify.services(service).verificationChecks.create({ to, code, ...more });
      expect(await failure(bound)).toMatchObject({ status: 403, code: 60204 });
      expect(await check(to, code)).toMatchObject({ status: 'approved' });
    },
  );

  it('fetches a verification while its code is valid', async () => {
    const to = newNumber();
    const started = await start(to);
    const { dateUpdated, ...same } = started.toJSON();
    expect((await verification(started.sid).fetch()).toJSON()).toMatchObject(same);
    const code = await sms(to);
    expect(await started.fetch()).toMatchObject({ status: 'pending', valid: false });
    expect(await failure(verification(started.sid, otherService).fetch())).toMatchObject({ code: 20404 });
    expect(await failure(verification(`VE${'0'.repeat(32)}`).fetch())).toMatchObject({ code: 20404 });
    expect(await failure(verification(to).fetch())).toMatchObject({ status: 404, code: 20404 });
    const stranger = clientWith(bankKey).services(service).verifications(started.sid);
    expect(await failure(stranger.fetch())).toMatchObject({ status: 404, code: 20404 });
    await check(to, code);
    expect(await failure(started.fetch())).toMatchObject({ status: 404, code: 20404 });
  });

  it('cancels a verification, which makes its code invalid', async () => {
    const to = newNumber();
    const started = await start(to);
    const code = await sms(to);
    expect(
      await failure(verification(started.sid, otherService).update({ status: 'canceled' })),
    ).toMatchObject({ code: 20404 });
    expect(await started.update({ status: 'canceled' })).toMatchObject({
      sid: started.sid,
      to,
      status: 'canceled',
      valid: false,
    });
    expect(await failure(check(to, code))).toMatchObject({ status: 404, code: 20404 });
    expect(await failure(started.update({ status: 'canceled' }))).toMatchObject({ status: 404, code: 20404 });
  });

  it('cancels a verification before its SMS is sent', async () => {
    const started = await start(newNumber());
    const [id = ''] = await gateway.store.phones.idsOfApp('shop', number(started.to));
    await started.update({ status: 'canceled' });
    expect(await gateway.store.otps.find('shop', id)).toMatchObject({ status: 'cancelled', sentAt: null });
    await expect.poll(() => gateway.logs.at(-1)).toContain(`"otpId":"${id}"`);
  });

  it('rejects an approval without the code', async () => {
    const started = await start(newNumber());
    expect(await failure(started.update({ status: 'approved' }))).toMatchObject({ status: 403, code: 60204 });
    const nonsense = started.update({ status: 'pending' as 'canceled' });
    expect(await failure(nonsense)).toMatchObject({ status: 400, code: 60200 });
    expect(await started.fetch()).toMatchObject({ status: 'pending' });
  });

  it('answers too many attempts and too many SMS with Twilio’s own errors', async () => {
    const to = newNumber();
    await start(to);
    const code = await sms(to);
    for (let i = 0; i < 5; i++) expect(await check(to, wrong(code))).toMatchObject({ valid: false });
    expect(await failure(check(to, code))).toMatchObject({ status: 429, code: 60202 });
    const limited = await startGateway({ policy: { recipientPer10Minutes: 1 } });
    const verifications = clientWith(shopKey, limited.url).services(service).verifications;
    const ask = () => verifications.create({ to: '+60123456899', channel: 'sms' });
    await ask();
    expect(await failure(ask())).toMatchObject({ status: 429, code: 60203 });
  });

  it('answers a paused app, and one without credits, with Twilio’s general errors of their status', async () => {
    const spent = await startGateway({ policy: { creditsPerDay: 1 } });
    const { verifications } = clientWith(shopKey, spent.url).services(service);
    const ask = (to: string) => verifications.create({ to, channel: 'sms' });
    await ask('+60123456871');
    expect(await failure(ask('+60123456872'))).toMatchObject({ status: 429, code: 20429 });
    await spent.store.appPauses.pause('shop');
    expect(await failure(ask('+60123456873'))).toMatchObject({ status: 503, code: 20503 });
    await spent.store.appPauses.resume('shop');
  });
});
