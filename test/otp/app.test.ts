import { describe, expect, it } from 'vitest';
import { plainApp, testCodeOf, textOf } from '../../src/otp/app.js';
import { withTestNumbers } from '../../src/otp/test-numbers.js';
import { number } from '../support/otps.js';

const template = new Map([
  ['en', 'English'],
  ['ms', 'Melayu'],
  ['zh', '中文'],
  ['zh-hant', '繁體'],
]);

describe('a template', () => {
  it.each([
    ['ms', 'Melayu'],
    ['ms-MY', 'Melayu'],
    ['MS', 'Melayu'],
    ['zh-Hans-MY', '中文'],
    ['zh-Hant-HK', '繁體'],
    ['ta', 'English'],
    [undefined, 'English'],
  ])('in the language nearest to %s', (locale, text) => {
    expect(textOf(template, locale, 'en')).toBe(text);
  });

  it('comes in the default language of its app, or in any that it has', () => {
    expect(textOf(template, 'ta', 'ms')).toBe('Melayu');
    expect(textOf(new Map([['zh', '中文']]), 'ta', 'en')).toBe('中文');
  });
});

describe('a test number', () => {
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
  const send = (name: string, to = number()) =>
    provider.send({ app: name, to, message: '%OTP%', unicode: false, senderId: null, attempt: 1 }, window);
  const verify = (uuid: string, code: string, to = number()) =>
    provider.verify({ app: 'shop', to, uuid, smsId: '1', code, validMinutes: 5, senderId: null });

  it('is one of its own app alone', async () => {
    expect(testCodeOf(app, number())).toBe('246810');
    await send('shop');
    expect(asked).toEqual([]);
    await send('bank');
    await send('shop', number('0123456780'));
    expect(asked).toEqual(['+60123456789', '+60123456780']);
  });

  it('takes its fixed code and no other', async () => {
    const outcome = await send('shop');
    const uuid = outcome.kind === 'accepted' ? outcome.uuid : '';
    expect(await verify(uuid, '246810')).toEqual({ kind: 'correct' });
    expect(await verify(uuid, '246811')).toEqual({ kind: 'incorrect' });
    expect(await verify(uuid, '246810', number('0123456780'))).toEqual({ kind: 'incorrect' });
  });

  it('that something was sent to in earnest before is verified in earnest', async () => {
    expect(await verify('bd9a1ff0-4f2c-11eb-9b62-008cfaff44de', '000000')).toEqual({ kind: 'correct' });
  });
});
