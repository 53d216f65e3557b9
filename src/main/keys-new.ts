import { createHash, randomBytes } from 'node:crypto';
import type { CommandOutput } from './output.js';

/** 256 random bits. */
const keyBytes = 32;

/** Makes an API key for an app, and shows what the operator keeps of it: the key itself is shown once. */
export function newKey(app: string): CommandOutput {
  const key = randomBytes(keyBytes).toString('base64url');
  const digest = `sha256:${createHash('sha256').update(key).digest('hex')}`;
  const text = [
    `key      ${key}`,
    `digest   ${digest}`,
    '',
    'The key is for the app, and shown only now. The digest is for the gateway:',
    `  API_KEYS=${app}:${digest}`,
    `  or in APPS_FILE: "keys": ["${digest}"]`,
  ].join('\n');
  return { text, data: { app, key, digest } };
}
