import { describe, expect, it } from 'vitest';
import { startClient } from './client.js';

describe('verifying', () => {
  it('the right code says Verified, as often as it is asked', async () => {
    const { ask, verify } = await startClient();
    const { code, uuid, sms_id, ...sent } = await ask();
    const verified = { status: 'Verified', uuid, sms_id, code, mobile: sent['mobile'] };
    const ids = { code, uuid, sms_id } as Record<string, string>;
    expect(await verify(ids)).toEqual(verified);
    expect(await verify(ids)).toEqual(verified);
  });

  it('a wrong code says so, and echoes the wrong code only', async () => {
    const { ask, verify } = await startClient();
    const sent = await ask();
    const wrong = sent['code'] === '111111' ? '222222' : '111111';
    expect(await verify(sent, { code: wrong })).toEqual({
      status: 'Failed',
      message: 'Incorrect OTP Code',
      uuid: sent['uuid'],
      sms_id: sent['sms_id'],
      code: wrong,
      mobile: '+6012-3456789',
    });
    expect(await verify(sent)).toMatchObject({ status: 'Verified' });
  });

  it('the right code fails from the moment its interval is over', async () => {
    let now = Date.now();
    const { ask, verify } = await startClient({ clock: () => now });
    const sent = await ask();
    now += 3 * 60_000 - 1;
    expect(await verify(sent, { interval: '3' })).toMatchObject({ status: 'Verified' });
    now += 1;
    expect(await verify(sent, { interval: '3' })).toMatchObject({ message: 'OTP Code Expired' });
    expect(await verify(sent)).toMatchObject({ status: 'Verified' });
  });

  it.each([
    ['Invalid UUID or SMS ID', { uuid: '1a1e1b86-4f2d-11eb-8000-000000000000' }],
    ['Invalid UUID or SMS ID', { sms_id: '1' }],
    ['Invalid UUID or SMS ID', { sms_id: 'x' }],
    ['Invalid UUID or SMS ID', { mobile: '123456780' }],
    ['Invalid Destination Number', { mobile: '0123456789' }],
    ['Invalid Interval', { interval: '0' }],
    ['Invalid Interval', { interval: '1.5' }],
    ['Missing Parameter', { code: undefined }],
    ['Missing Parameter', { uuid: undefined }],
  ])('says "%s" for %o', async (message, params) => {
    const { ask, verify } = await startClient();
    expect(await verify(await ask(), params)).toMatchObject({ status: 'Failed', message });
  });
});
