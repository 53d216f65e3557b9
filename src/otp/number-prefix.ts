import metadata from 'libphonenumber-js/mobile/metadata';
import { PhoneNumber } from './phone-number.js';

/** Digits after the calling code: one would be all mobile numbers of Malaysia (`+601`). */
const leastNational = 2;
/** Of E.164. */
const mostDigits = 15;
const visibleDigits = 8;

/** A whole mobile number, or the first digits of many. */
interface NumberPrefix {
  /** E.164 digits. */
  digits: string;
  /** For people: a prefix of at most eight digits, any longer one and a whole number without some of their digits. */
  shown: string;
}

/**
 * Parses a mobile number, or a prefix: `+`, a calling code and at least two digits more; also a range as `ranges list`
 * shows it (`6012-345xxxx`). Null for anything else.
 */
export function parseNumberPrefix(text: string, defaultCountry: string): NumberPrefix | null {
  const number = PhoneNumber.parse(text, defaultCountry);
  if (number) return { digits: number.e164.slice(1), shown: number.masked };
  if (!/^(?:\+[\d ().-]+|\d{4}-\d+xxxx)$/.test(text.trim())) return null;
  const digits = text.replaceAll(/\D/g, '');
  const callingCode = [1, 2, 3]
    .map((length) => digits.slice(0, length))
    .find((code) => Object.hasOwn(metadata.country_calling_codes, code));
  if (callingCode === undefined || digits.length > mostDigits) return null;
  const national = digits.slice(callingCode.length);
  if (national.length < leastNational || beginsWithTrunkZero(callingCode, national)) return null;
  const isHidden = digits.length > visibleDigits;
  return { digits, shown: `+${digits.slice(0, visibleDigits)}${isHidden ? '…' : ''}` };
}

/** A 0 that is dialled only within the country, as in `+60 (0)12`: no number in E.164 has it, so the entry would fit none. */
function beginsWithTrunkZero(callingCode: string, national: string): boolean {
  const [country] = metadata.country_calling_codes[callingCode] ?? [];
  const nationalPrefix: unknown = country && metadata.countries[country]?.[5];
  return nationalPrefix === '0' && national.startsWith('0');
}
