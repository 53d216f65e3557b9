import { inspect } from 'node:util';
import { type CountryCode, getCountries, parsePhoneNumberFromString } from 'libphonenumber-js/mobile';
import examples from 'libphonenumber-js/mobile/examples';
import { describe, expect, it } from 'vitest';
import { PhoneNumber } from '../../src/otp/phone-number.js';

const whole = '123456789';

/** What the library says of a text. */
function byLibrary(text: string, defaultCountry: CountryCode): string | null {
  const parsed = parsePhoneNumberFromString(text, { defaultCountry, extract: false });
  return parsed?.isValid() && !parsed.ext && parsed.country ? `${parsed.country} ${parsed.number}` : null;
}

function differences(texts: Iterable<string>, country: CountryCode): string[] {
  const found: string[] = [];
  for (const text of texts) {
    const number = PhoneNumber.parse(text, country);
    const ours = number && `${number.country} ${number.e164}`;
    if (ours !== byLibrary(text, country)) found.push(`${country} ${text}: ${ours}`);
  }
  return found;
}

describe('numbers that are recognised without the library', () => {
  it('are those that it recognises, of all Malaysian prefixes and lengths', { timeout: 120_000 }, () => {
    const texts = function* () {
      for (let prefix = 0; prefix < 10_000; prefix++) {
        for (const rest of ['234', '2345', '23456', '234567', '2345678']) {
          const national = `${prefix}`.padStart(4, '0') + rest;
          yield `+60${national}`;
          yield `0${national}`;
        }
      }
    };
    expect(differences(texts(), 'MY')).toEqual([]);
  });

  it('are those that it recognises, in every country', { timeout: 120_000 }, () => {
    let valid = 0;
    const wrong = getCountries().flatMap((country) => {
      const example = examples[country] ?? '';
      // Each digit, and each pair of first ones, takes every value; and one digit more or less.
      const variants = [...example].flatMap((_, i) =>
        Array.from({ length: 10 }, (_, digit) => `${example.slice(0, i)}${digit}${example.slice(i + 1)}`),
      );
      const pairs = Array.from({ length: 100 }, (_, n) => `${`${n}`.padStart(2, '0')}${example.slice(2)}`);
      const nationals = [...variants, ...pairs, example.slice(1), `${example}0`];
      const callingCode = parsePhoneNumberFromString(example, country)?.countryCallingCode;
      const texts = nationals.flatMap((one) => [`+${callingCode}${one}`, `0${one}`, `8${one}`, one]);
      valid += texts.filter((text) => byLibrary(text, country)).length;
      return differences(texts, country);
    });
    expect(wrong).toEqual([]);
    expect(valid).toBeGreaterThan(30_000);
  });
});

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
