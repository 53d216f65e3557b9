import { describe, expect, it } from 'vitest';
import { priceOf } from '../src/send-call.js';
import { startClient } from './client.js';

describe('a good send', () => {
  it('is answered with ids, the code and the number in international form', async () => {
    const { ask } = await startClient();
    const reply = await ask();
    expect(reply).toEqual({
      status: 'Success',
      code: expect.stringMatching(/^\d{6}$/),
      uuid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      username: 'shop',
      sms_id: expect.stringMatching(/^\d{10}$/),
      mobile: '+6012-3456789',
    });
  });

  it('puts an SMS with the code and the legal prefix into the inbox', async () => {
    const { ask, simulator } = await startClient();
    const { code } = await ask({ sendid: 'MyApp' });
    expect(simulator.state.inbox()).toEqual([
      expect.objectContaining({
        text: `RM0.00 Your code is ${code}`,
        senderId: 'MyApp',
        mobile: '+60123456789',
      }),
    ]);
  });

  it('may go abroad and be in Unicode', async () => {
    const { ask, simulator } = await startClient();
    const reply = await ask({ country_code: '65', mobile: '81234567', type: '2', message: '验证码 %OTP%' });
    expect(reply).toMatchObject({ status: 'Success', mobile: '+6581234567' });
    expect(simulator.state.inbox()[0]).toMatchObject({
      unicode: true,
      text: `RM0.00 验证码 ${reply['code']}`,
    });
  });
});

describe('a send is refused, without an SMS or a charge,', () => {
  it.each([
    ['Missing Parameter', { mobile: undefined }],
    ['Missing Parameter', { country_code: undefined }],
    ['Missing Parameter', { message: undefined }],
    ['Missing Parameter', { type: '' }],
    ['Missing Parameter', { pass: undefined }],
    ['Invalid SMS Type', { type: '3' }],
    ['Unicode Text Needs Type 2', { message: '验证码 %OTP%' }],
    ['Message Without %OTP%', { message: 'Your code' }],
    ['Invalid Sender ID', { sendid: 'LongerThan11' }],
    ['Invalid Sender ID', { sendid: 'My App' }],
    ['Invalid Destination Number', { mobile: '0123456789' }],
    ['Invalid Destination Number', { mobile: '+60123456789' }],
    ['Invalid Destination Number', { mobile: '312345678' }],
    ['Invalid Destination Number', { country_code: '+60' }],
    ['Invalid Body Length', { message: `${'a'.repeat(1_530)}%OTP%` }],
    ['Unknown Error', { method: 'resend' }],
  ])('with "%s" for %o', async (message, params) => {
    const { call, simulator } = await startClient({ settings: { credits: 5 } });
    const { status, text } = await call(params);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ status: 'Failed', message });
    expect(simulator.state.inbox()).toEqual([]);
    expect(simulator.state.settings.credits).toBe(5);
  });

  it('and the refusal carries ids and a code that cannot be verified', async () => {
    const { ask, verify } = await startClient();
    const refused = await ask({ type: '3' });
    expect(refused).toEqual({
      status: 'Failed',
      message: 'Invalid SMS Type',
      uuid: expect.stringMatching(/-/),
      sms_id: expect.stringMatching(/^\d+$/),
      code: expect.stringMatching(/^\d{6}$/),
      mobile: '+6012-3456789',
    });
    expect(await verify(refused)).toMatchObject({ status: 'Failed', message: 'Invalid UUID or SMS ID' });
  });
});

describe('priceOf', () => {
  it.each([
    ['a'.repeat(153), false, 1],
    ['a'.repeat(154), false, 2],
    ['a'.repeat(307), false, 3],
    ['验'.repeat(63), true, 1],
    ['验'.repeat(64), true, 2],
  ])('charges a credit for each part begun (%#)', (text, unicode, credits) => {
    expect(priceOf(text, unicode)).toBe(credits);
  });

  it('counts characters of the GSM extension table twice, in ASCII only', () => {
    expect(priceOf(`${'a'.repeat(152)}€`, true)).toBe(3);
    expect(priceOf(`${'a'.repeat(152)}{`, false)).toBe(2);
    expect(priceOf(`${'a'.repeat(62)}{`, true)).toBe(1);
  });
});
