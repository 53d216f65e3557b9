import { inspect } from 'node:util';
import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js/mobile';
import metadata from 'libphonenumber-js/mobile/metadata';
import { memoize } from '../lib/memoize.js';

/**
 * The plain mobile numbers of a country, of digits alone, as the library's metadata has them: to match them takes a
 * tenth of its time. None where countries share a calling code, or rewrite numbers.
 */
const plainNumbers = memoize((country) => {
  const plan = metadata.countries[country as CountryCode];
  const callingCode = plan?.[0] ?? '';
  const [nationalPrefix, rewriting, mobile] = [plan?.[5], plan?.[7], plan?.[11]?.[1]];
  const isAlone = metadata.country_calling_codes[callingCode]?.length === 1;
  const prefixes = nationalPrefix ? `\\+${callingCode}|${nationalPrefix}` : `\\+${callingCode}`;
  const pattern = isAlone && !rewriting && mobile ? new RegExp(`^(?:${prefixes})(${mobile[0]})$`) : /(?!)/;
  return { callingCode, pattern };
});

const visibleDigits = 3;
const rangeHiddenDigits = 4;

/**
 * A mobile number that masks itself when printed, serialised or logged (`+60******789`). Only `e164` and `national`
 * reveal it: for the provider client, the store and the API's answers.
 */
export class PhoneNumber {
  readonly #callingCode: string;
  readonly #national: string;

  private constructor(
    callingCode: string,
    national: string,
    /** ISO 3166-1 alpha-2, for example `MY`. */
    readonly country: string,
  ) {
    this.#callingCode = callingCode;
    this.#national = national;
  }

  /**
   * Parses international notation, or national notation of `defaultCountry`. Null unless it is a mobile number by the
   * country's numbering plan (libphonenumber's metadata) without an extension.
   */
  static parse(text: string, defaultCountry: string): PhoneNumber | null {
    const { callingCode, pattern } = plainNumbers(defaultCountry);
    const national = pattern.exec(text)?.[1];
    if (national !== undefined) return new PhoneNumber(callingCode, national, defaultCountry);
    const parsed = parsePhoneNumberFromString(text, {
      defaultCountry: defaultCountry as CountryCode,
      extract: false,
    });
    if (!parsed?.isValid() || parsed.ext || !parsed.country) return null;
    return new PhoneNumber(parsed.countryCallingCode, parsed.nationalNumber, parsed.country);
  }

  /** Restores a number from the parts of a parsed one. */
  static restore(parts: { callingCode: string; national: string; country: string }): PhoneNumber {
    return new PhoneNumber(parts.callingCode, parts.national, parts.country);
  }

  /** Digits of the country calling code, for example `60`. */
  get callingCode(): string {
    return this.#callingCode;
  }

  /** Digits without calling code and leading zero. Never log it. */
  get national(): string {
    return this.#national;
  }

  /** `+60123456789`. Never log it. */
  get e164(): string {
    return `+${this.#callingCode}${this.#national}`;
  }

  /**
   * E.164 digits without the last four: the block of 10,000 numbers that operators are assigned and SMS pumping uses up
   * (7 digits of most Malaysian numbers, 8 of longer ones).
   */
  get range(): string {
    return `${this.#callingCode}${this.#national}`.slice(0, -rangeHiddenDigits);
  }

  /** `+60******789`: country and last three digits. */
  get masked(): string {
    const hidden = '*'.repeat(this.#national.length - visibleDigits);
    return `+${this.#callingCode}${hidden}${this.#national.slice(-visibleDigits)}`;
  }

  toString(): string {
    return this.masked;
  }

  toJSON(): string {
    return this.masked;
  }

  [inspect.custom](): string {
    return this.masked;
  }
}
