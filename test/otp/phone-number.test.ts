import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { PhoneNumber } from '../../src/otp/phone-number.js';

const whole = '123456789';

describe('PhoneNumber', () => {
  it.each(['+60123456789', '012-345 6789', '60123456789', '+60 12 345 6789'])('parses %s', (text) => {
    const number = PhoneNumber.parse(text, 'MY');
    expect(number?.e164).toBe('+60123456789');
    expect(number?.national).toBe(whole);
    expect(number?.country).toBe('MY');
  });

  it.each(['', 'abc', '0312345678', '+601', '+6512345678', '+60 12 345 6789 ext 5', 'call 0123456789'])(
    'refuses %j, which is no mobile number',
    (text) => {
      expect(PhoneNumber.parse(text, 'MY')).toBeNull();
    },
  );

  it('masks itself wherever it is printed, serialised or inspected', () => {
    const number = PhoneNumber.parse('0123456789', 'MY');
    const shown = [
      `${number}`,
      JSON.stringify({ number }),
      inspect({ number }, { showHidden: true, depth: 9 }),
    ];
    for (const text of shown) {
      expect(text).toContain('+60******789');
      expect(text).not.toContain('23456');
    }
  });
});
