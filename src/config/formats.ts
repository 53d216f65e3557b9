import { createHash } from 'node:crypto';
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
export const fraction = format('a number from 0 to 1, such as 0.1', (text) =>
  /^(0|1|0?\.\d{1,6}|1\.0+)$/.test(text) ? Number(text) : null,
);

/** Text that is taken as it stands. */
export function text(expected = 'one line of text') {
  return format(expected, (value) => (isOneLine(value) ? value : null));
}

function isOneLine(value: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(value);
}

/** A secret that another system issued, in one line. */
export const issuedSecret = format('one line of text', (value) =>
  isOneLine(value) ? new Secret(value) : null,
);

/** A secret that the operator chooses, of at least `minLength` characters, in one line. */
export function chosenSecret(minLength: number) {
  return format(`at least ${minLength} characters in one line, ${variedText}`, (value) =>
    value.length >= minLength && isOneLine(value) && isVaried(value) ? new Secret(value) : null,
  );
}

const leastDistinct = 4;
/** What `isVaried` asks for, in words. */
const variedText = `${leastDistinct} or more of them different`;

/** False for a placeholder such as `xxxxxxxx`. A random secret of 16 hex digits fails less than once in 10^8. */
function isVaried(secret: string | Buffer): boolean {
  return new Set<unknown>(secret).size >= leastDistinct;
}

/** One of a few words. */
export function oneOf<const W extends string>(...words: W[]) {
  return format(`one of ${words.join(', ')}`, (value) => words.find((word) => word === value) ?? null);
}

/** An IP address or host name to listen on. */
export const listenHost = format('an IP address or a host name', (value) =>
  /^[\w.:-]+$/.test(value) ? value : null,
);

/** A country that libphonenumber knows, so that its mobile numbers can be recognised. */
export const country = format('an ISO 3166-1 code of two capitals, such as MY', (value) =>
  isSupportedCountry(value) ? value : null,
);

/** Several countries, each at most once in the result. */
export const countries = format(
  'ISO 3166-1 codes of two capitals, separated by commas, such as MY,SG',
  (value) => {
    const codes = listItems(value);
    return codes.every((code) => isSupportedCountry(code)) ? [...new Set<string>(codes)] : null;
  },
);

/** An IANA time zone. */
export const timeZone = format('an IANA time zone, such as Asia/Kuala_Lumpur', (value) => {
  // Offsets such as +08:00 are none.
  if (!/^[A-Za-z]/.test(value)) return null;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch {
    return null;
  }
});

/** IP addresses and CIDR ranges. No range may hold every address: a trusted proxy can name any address as the client's. */
export const addressRanges = format(
  'IP addresses or CIDR ranges, separated by commas, such as 127.0.0.1,10.0.0.0/8',
  (value) => {
    const items = listItems(value);
    return items.every(isAddressRange) ? items : null;
  },
);

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
export const shardList = format(
  'numbers from 0 to 63 and ranges, separated by commas, such as 0-3,8',
  (value) => {
    const items = listItems(value).map((item) => /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(item));
    const numbers = items.flatMap((match) => {
      const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
      return to >= from && to < mostShards ? Array.from({ length: to - from + 1 }, (_, i) => from + i) : [-1];
    });
    return numbers.includes(-1) ? null : [...new Set(numbers)];
  },
);

/** Names of events, which the domain checks. */
export const eventList = format(
  'all, or names of events separated by commas, such as otp.sent,otp.failed',
  (value) => {
    const names = listItems(value);
    return names.every((name) => /^[a-z]+(\.[a-z]+)?$/.test(name)) ? [...new Set(names)] : null;
  },
);

/** Who may call the API. Only the SHA-256 digest of the key is kept, never the key. */
export interface ApiKey {
  app: string;
  /** SHA-256, 32 bytes. */
  digest: Buffer;
}

const liveKeysPerApp = 2;
/** The name of an app, as the source of a regular expression. */
export const appShape = '[a-z0-9][a-z0-9_-]{0,31}';
/** What RFC 6750 allows in a bearer token, so a key never holds a comma, a colon or a space. */
const entryShape = new RegExp(
  `^(?<app>${appShape}):(?:sha256:(?<hex>[0-9a-fA-F]{64})|(?<key>(?=.{24})[A-Za-z0-9._~+/-]+=*))$`,
);
const expectedKeys =
  'app:key or app:sha256:<64 hex digits>, separated by commas; app: 1 to 32 of a-z 0-9 _ - (no _ or - first); ' +
  `key: at least 24 of A-Z a-z 0-9 . _ ~ + / - (= at its end), ${variedText}`;

/** The API's keys. An app may stand twice, so that it can change its key without a gap; a key only once. */
export const apiKeys = z
  .string()
  .transform((text, context): ApiKey[] => {
    const entries = listItems(text).map(parseApiKey);
    for (const problem of apiKeyProblems(entries)) context.addIssue(problem);
    return entries.filter((entry) => entry !== null);
  })
  .describe(expectedKeys);

/** Null for what is no entry, for a key like `xxxx…`, and for the digest of an empty key: of a variable that was not set. */
function parseApiKey(entry: string): ApiKey | null {
  const { app, hex, key } = entryShape.exec(entry)?.groups ?? {};
  if (!app || (key !== undefined && !isVaried(key))) return null;
  const digest = hex ? Buffer.from(hex, 'hex') : sha256(String(key));
  return digest.equals(sha256('')) ? null : { app, digest };
}

export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function apiKeyProblems(entries: (ApiKey | null)[]): string[] {
  const problems: string[] = [];
  const apps = new Map<string, number>();
  const digests = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const where = `has an unusable entry ${index + 1} of ${entries.length}`;
    if (!entry) {
      problems.push(`${where}; it must be ${expectedKeys}`);
      continue;
    }
    const count = (apps.get(entry.app) ?? 0) + 1;
    apps.set(entry.app, count);
    if (count > liveKeysPerApp) problems.push(`${where}: an app can have at most ${liveKeysPerApp} keys`);
    const digest = entry.digest.toString('hex');
    if (digests.has(digest)) problems.push(`${where}: this key is listed twice; give each app its own`);
    digests.add(digest);
  }
  return problems;
}

/** 32 bytes in base64, one or several: the keys for data at rest; the first encrypts, all decrypt. */
export const encryptionKeys = format(
  '32 bytes in base64 (made by `openssl rand -base64 32`), or several such keys separated by commas',
  (value): Secret<readonly [Buffer, ...Buffer[]]> | null => {
    const keys = listItems(value).map(parseEncryptionKey);
    const [first, ...others] = keys.filter((key) => key !== null);
    if (!first || others.length < keys.length - 1) return null;
    return new Secret([first, ...others], keys.length > 1 ? `[${keys.length} secrets]` : '[secret]');
  },
);

function parseEncryptionKey(item: string): Buffer | null {
  const bytes = Buffer.from(item, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === item && isVaried(bytes) ? bytes : null;
}

/** 24 to 64 bytes in base64, behind the prefix of the Standard Webhooks specification. */
const secretShape = /^whsec_(?<key>[A-Za-z0-9+/]{32,88}={0,2})$/;

/** Secrets that sign events; each is kept with its prefix. */
export const webhookSecrets = format(
  'whsec_ and 24 to 64 bytes in base64 (`openssl rand -base64 32`), several separated by commas',
  (value) => {
    const secrets = listItems(value);
    return secrets.every(isWebhookSecret)
      ? new Secret(secrets, secrets.length > 1 ? `[${secrets.length} secrets]` : '[secret]')
      : null;
  },
);

export function isWebhookSecret(text: string): boolean {
  const key = secretShape.exec(text)?.groups?.['key'];
  const bytes = Buffer.from(key ?? '', 'base64');
  return bytes.length >= 24 && bytes.length <= 64 && isVaried(bytes);
}
