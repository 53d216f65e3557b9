import { createHash } from 'node:crypto';
import * as z from 'zod';
import { format, isVaried, listItems, Secret, variedText } from './formats.js';

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
export function apiKeys() {
  return z
    .string()
    .transform((text, context): ApiKey[] => {
      const entries = listItems(text).map(parseApiKey);
      for (const problem of apiKeyProblems(entries)) context.addIssue(problem);
      return entries.filter((entry) => entry !== null);
    })
    .describe(expectedKeys);
}

/** Null for what is no entry, for a key like `xxxx…`, and for the digest of an empty key: of a variable that was not set. */
function parseApiKey(entry: string): ApiKey | null {
  const { app, hex, key } = entryShape.exec(entry)?.groups ?? {};
  if (!app || (key !== undefined && !isVaried(key))) return null;
  const digest = hex ? Buffer.from(hex, 'hex') : sha256(String(key));
  return digest.equals(sha256('')) ? null : { app, digest };
}

function sha256(text: string): Buffer {
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
    if (count > liveKeysPerApp) problems.push(`${where}: an app can have ${liveKeysPerApp} keys, not more`);
    const digest = entry.digest.toString('hex');
    if (digests.has(digest)) problems.push(`${where}: this key stands there before; give each app its own`);
    digests.add(digest);
  }
  return problems;
}

/** 32 bytes in base64, one or several: the keys for data at rest; the first encrypts, all decrypt. */
export function encryptionKeys() {
  return format(
    '32 bytes in base64 (made by `openssl rand -base64 32`), or several such keys separated by commas',
    (value): Secret<readonly [Buffer, ...Buffer[]]> | null => {
      const keys = listItems(value).map(parseEncryptionKey);
      const [first, ...others] = keys.filter((key) => key !== null);
      if (!first || others.length < keys.length - 1) return null;
      return new Secret([first, ...others], keys.length > 1 ? `[${keys.length} secrets]` : '[secret]');
    },
  );
}

function parseEncryptionKey(item: string): Buffer | null {
  const bytes = Buffer.from(item, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === item && isVaried(bytes) ? bytes : null;
}

/** 24 to 64 bytes in base64, behind the prefix of the Standard Webhooks specification. */
const secretShape = /^whsec_(?<key>[A-Za-z0-9+/]{32,88}={0,2})$/;

/** Secrets that sign events; each is kept with its prefix. */
export function webhookSecrets() {
  return format(
    'whsec_ and 24 to 64 bytes in base64 (`openssl rand -base64 32`), several separated by commas',
    (value) => {
      const secrets = listItems(value);
      return secrets.every(isWebhookSecret)
        ? new Secret(secrets, secrets.length > 1 ? `[${secrets.length} secrets]` : '[secret]')
        : null;
    },
  );
}

function isWebhookSecret(text: string): boolean {
  const key = secretShape.exec(text)?.groups?.['key'];
  const bytes = Buffer.from(key ?? '', 'base64');
  return bytes.length >= 24 && bytes.length <= 64 && isVaried(bytes);
}
