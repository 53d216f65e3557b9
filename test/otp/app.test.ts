import { describe, expect, it } from 'vitest';
import { plainApp, testCodeOf } from '../../src/otp/app.js';
import { withTestNumbers } from '../../src/provider/decorated-provider.js';
import { number } from '../support/otps.js';

describe('an OTP to a test number', () => {
  const app = { ...plainApp('shop'), testNumbers: new Map([['+60123456789', '246810']]) };
  const asked: string[] = [];
  const provider = withTestNumbers(
    {
      send: async ({ to }) => {
        asked.push(to.e164);
        return { kind: 'accepted', uuid: 'real', smsId: '1' };
      },
      verify: async () => ({ kind: 'correct' }),
      balance: async () => ({ kind: 'known', credits: 1, expiresOn: null }),
      close: async () => {},
    },
    { of: (name) => (name === 'shop' ? app : plainApp(name)) },
  );
  const window = { leaveBy: { monotonic: 0, wall: 0 }, endBy: 0 };
  const call = { app: 'shop', to: number(), senderId: null };
  const send = (isTest: boolean, more = {}) =>
    provider.send({ ...call, isTest, message: '%OTP%', unicode: false, callNumber: 1, ...more }, window);
  const verify = (isTest: boolean, code: string, more = {}) =>
    provider.verify({ ...call, isTest, uuid: 'x', smsId: '1', code, validMinutes: 5, ...more });

  it('is never sent, even if this process does not know the test number; any other OTP is', async () => {
    expect(testCodeOf(app, number())).toBe('246810');
    expect(await send(true)).toMatchObject({ kind: 'accepted' });
    expect(await send(true, { app: 'bank' })).toMatchObject({ kind: 'accepted' });
    expect(asked).toEqual([]);
    // Admitted before its number became one.
    await send(false);
    expect(asked).toEqual(['+60123456789']);
  });

  it('is verified by the fixed code of its app and number only', async () => {
    expect(await verify(true, '246810')).toEqual({ kind: 'correct' });
    expect(await verify(true, '246811')).toEqual({ kind: 'incorrect' });
    expect(await verify(true, '246810', { to: number('0123456780') })).toEqual({ kind: 'incorrect' });
    expect(await verify(true, '246810', { app: 'bank' })).toEqual({ kind: 'incorrect' });
  });

  it('is verified by the provider if it was sent before the number became a test number', async () => {
    expect(await verify(false, '000000')).toEqual({ kind: 'correct' });
  });
});
