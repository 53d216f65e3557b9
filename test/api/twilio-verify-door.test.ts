import twilio from 'twilio';
import { describe, expect, it } from 'vitest';
import { number } from '../support/otps.js';
import { shopKey, startGateway } from './gateway.js';

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

/** Has iSMS send what a verification queued; answers the code. */
async function sms(to: string): Promise<string> {
  const [found] = await gateway.store.phones.known(number(to));
  return await gateway.send(found?.otpIds.at(-1) ?? '');
}

const wrong = (code: string) => (code === '000000' ? '000001' : '000000');
const failure = async (call: Promise<unknown>) =>
  await call.then(
    () => null,
    ({ status, code, message }) => ({ status, code, message }),
  );
let next = 10;
const newNumber = () => `+601234568${next++}`;

describe('the twilio library', () => {
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

  it('checks by sid, too', async () => {
    const to = newNumber();
    const { sid } = await start(to);
    const code = await sms(to);
    const checks = verify.services(service).verificationChecks;
    expect(await checks.create({ verificationSid: sid, code })).toMatchObject({ status: 'approved' });
    const unknown = checks.create({ verificationSid: `VE${'0'.repeat(32)}`, code });
    expect(await failure(unknown)).toMatchObject({ status: 404, code: 20404 });
  });

  it('by sid checks only what is of that service and number', async () => {
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

  it('gets Twilio’s own errors for too many attempts and too many SMS', async () => {
    const to = newNumber();
    await start(to);
    const code = await sms(to);
    for (let i = 0; i < 5; i++) expect(await check(to, wrong(code))).toMatchObject({ valid: false });
    expect(await failure(check(to, code))).toMatchObject({ status: 429, code: 60202 });
    const limited = await startGateway({ policy: { phonePer10Minutes: 1 } });
    const verifications = clientWith(shopKey, limited.url).services(service).verifications;
    const ask = () => verifications.create({ to: '+60123456899', channel: 'sms' });
    await ask();
    expect(await failure(ask())).toMatchObject({ status: 429, code: 60203 });
  });
});
