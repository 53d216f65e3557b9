import { createHash, randomBytes } from 'node:crypto';
import { rows } from '../cli/view.js';
import { shownSettings } from '../config/documentation.js';
import { appShape } from '../config/formats.js';
import type { Environment } from '../config/load-config.js';
import type { Role } from '../config/roles.js';
import { createAppRegistry } from './apps.js';
import { load } from './load.js';
import type { CommandOutput } from './operator-input.js';

/** Describes the settings of a role. Throws a ConfigError with all errors in them and in APPS_FILE. */
export async function validateConfig(role: Role, env: Environment): Promise<CommandOutput> {
  const config = load(env, role);
  createAppRegistry(config);
  const made = role === 'start' ? (await import('./start.js')).shownByStart(env) : {};
  const data = { ...shownSettings(config), ...made };
  return { text: rows(Object.entries(data)), data };
}

/** Describes the apps in a file, by default APPS_FILE. Throws a ConfigError with all errors in it. */
export function validateApps(file: string | undefined, env: Environment): CommandOutput {
  const config = load({ ...env, ...(file !== undefined && { APPS_FILE: file }) }, 'start');
  if (config.appsFile === undefined)
    throw new Error('Name the file: isms-otp apps validate <file>, or set APPS_FILE.');
  const registry = createAppRegistry(config);
  const data = registry.named().map(({ name, templates, freeText, webhook, testNumbers }) => ({
    app: name,
    templates: [...templates.keys()],
    locales: [...new Set([...templates.values()].flatMap(({ texts }) => [...texts.keys()]))],
    freeText,
    webhook: webhook !== null,
    testNumbers: testNumbers.size,
    keys: registry.keys().filter((key) => key.app === name).length,
  }));
  const text = data.map(
    ({ app, keys, templates, locales, freeText, webhook, testNumbers }) =>
      `${app.padEnd(32)}  ${keys} key(s), ${templates.length} template(s) in ${locales.join(', ') || 'no language'}, ` +
      `${freeText ? 'free text' : 'templates only'}${webhook ? ', a webhook' : ''}, ${testNumbers} test number(s)`,
  );
  return { text: text.length === 0 ? 'APPS_FILE has no app.' : text.join('\n'), data };
}

/** Creates an API key of 256 random bits. The key is shown once; the gateway stores its digest. */
export function createKey(app: string): CommandOutput {
  if (!new RegExp(`^${appShape}$`).test(app)) {
    throw new Error('The name of an app must be 1 to 32 of a-z 0-9 _ - (no _ or - first).');
  }
  const key = randomBytes(32).toString('base64url');
  const digest = `sha256:${createHash('sha256').update(key).digest('hex')}`;
  const text = [
    `key      ${key}`,
    `digest   ${digest}`,
    '',
    'Give the key to the app: it is shown only now. Give the digest to the gateway:',
    `  API_KEYS=${app}:${digest}`,
    `  or in APPS_FILE: "keys": ["${digest}"]`,
  ].join('\n');
  return { text, data: { app, key, digest } };
}
