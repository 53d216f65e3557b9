import { isIP } from 'node:net';
import { inspect } from 'node:util';
import { isSupportedCountry } from 'libphonenumber-js/mobile';
import * as z from 'zod';

/**
 * A value that shows only `shown` when it is printed, inspected, serialised or put into a string; `reveal()`
 * gives it away, so every use of a secret can be found by that name.
 */
export class Secret<T = string> {
  readonly #value: T;
  readonly #shown: string;

  constructor(value: T, shown = '[secret]') {
    this.#value = value;
    this.#shown = shown;
  }

  /** The value itself: never to be logged. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [inspect.custom](): string {
    return this.#shown;
  }
}

/**
 * A schema from the text of one variable to its value. `expected` completes the sentence "must be …" in errors
 * and stands in the documentation; `read` answers null when the text is not that.
 */
export function format<T>(expected: string, read: (text: string) => T | null) {
  return z
    .string()
    .transform((text, context): T => {
      const value = read(text);
      if (value !== null) return value;
      context.addIssue(`must be ${expected}`);
      return z.NEVER;
    })
    .describe(expected);
}

/** Digits only: no sign, space, fraction, exponent or leading zero. */
export function wholeNumber(min: number, max: number) {
  return format(`a whole number from ${min} to ${max}`, (text) => {
    const value = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : null;
  });
}

/** A share of a whole. */
export function fraction() {
  return format('a number from 0 to 1, such as 0.1', (text) =>
    /^(0|1|0?\.\d{1,6}|1\.0+)$/.test(text) ? Number(text) : null,
  );
}

/** Text that is taken as it stands. */
export function text(expected = 'one line of text') {
  return format(expected, (value) => (isOneLine(value) ? value : null));
}

function isOneLine(value: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(value);
}

/** A secret that another system issued, in one line. */
export function issuedSecret() {
  return format('one line of text', (value) => (isOneLine(value) ? new Secret(value) : null));
}

/** A secret that the operator chooses, of at least `minLength` characters, in one line. */
export function chosenSecret(minLength: number) {
  return format(`at least ${minLength} characters in one line, ${variedText}`, (value) =>
    value.length >= minLength && isOneLine(value) && isVaried(value) ? new Secret(value) : null,
  );
}

const leastDistinct = 4;
/** What `isVaried` asks for, in words. */
export const variedText = `${leastDistinct} or more of them different`;

/** False for a placeholder such as `xxxxxxxx`. A random secret of 16 hex digits fails less than once in 10^8. */
export function isVaried(secret: string | Buffer): boolean {
  return new Set<unknown>(secret).size >= leastDistinct;
}

/** One of a few words. */
export function oneOf<const W extends string>(...words: W[]) {
  return format(`one of ${words.join(', ')}`, (value) => words.find((word) => word === value) ?? null);
}

/** An IP address or host name to listen on. */
export function listenHost() {
  return format('an IP address or a host name', (value) => (/^[\w.:-]+$/.test(value) ? value : null));
}

/** A country that libphonenumber knows, so that its mobile numbers can be recognised. */
export function country() {
  return format('an ISO 3166-1 code of two capitals, such as MY', (value) =>
    isSupportedCountry(value) ? value : null,
  );
}

/** Several countries, each at most once in the result. */
export function countries() {
  return format('ISO 3166-1 codes of two capitals, separated by commas, such as MY,SG', (value) => {
    const codes = listItems(value);
    return codes.every((code) => isSupportedCountry(code)) ? [...new Set<string>(codes)] : null;
  });
}

/** Beginnings of phone numbers in E.164 digits, separated by commas; may be empty. */
export function digitList() {
  return format('digits, at least 3 each, separated by commas, such as 6012345,60137', (value) => {
    const items = value.trim() === '' ? [] : listItems(value);
    return items.every((item) => /^[1-9]\d{2,14}$/.test(item)) ? items : null;
  });
}

/** IP addresses and CIDR ranges. No range may hold every address: a trusted proxy can name any address as the client's. */
export function addressRanges() {
  return format('IP addresses or CIDR ranges, separated by commas, such as 127.0.0.1,10.0.0.0/8', (value) => {
    const items = listItems(value);
    return items.every(isAddressRange) ? items : null;
  });
}

function isAddressRange(item: string): boolean {
  const [, address = '', prefix = '1'] = /^([\d.]+|[\da-fA-F:.]+)(?:\/([1-9]\d{0,2}))?$/.exec(item) ?? [];
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  return Number(prefix) <= bits;
}

/** The items of a list separated by commas, without the white space around them. */
export function listItems(value: string): string[] {
  return value.split(',').map((item) => item.trim());
}

const mostShards = 64;

/** Numbers from 0 to 63 and ranges of them. */
export function shardList() {
  return format('numbers from 0 to 63 and ranges, separated by commas, such as 0-3,8', (value) => {
    const items = listItems(value).map((item) => /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(item));
    const numbers = items.flatMap((match) => {
      const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
      return to >= from && to < mostShards ? Array.from({ length: to - from + 1 }, (_, i) => from + i) : [-1];
    });
    return numbers.includes(-1) ? null : [...new Set(numbers)];
  });
}

/** Names of events, which the domain checks. */
export function eventList() {
  return format('all, or names of events separated by commas, such as otp.sent,otp.failed', (value) => {
    const names = listItems(value);
    return names.every((name) => /^[a-z]+(\.[a-z]+)?$/.test(name)) ? [...new Set(names)] : null;
  });
}
