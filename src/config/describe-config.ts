import { type Config, settings } from './commands.js';
import type { ApiKey } from './keys.js';
import type { Setting } from './variables.js';

/** What an environment means, one variable a line, ready to be printed: no secret is in it. */
export function describeConfig(config: Config): string {
  const width = Math.max(...settings.map(({ name }) => name.length));
  const lines = Object.entries(shownSettings(config)).map(
    ([name, value]) => `${name.padEnd(width)}  ${value}`,
  );
  return `${lines.join('\n')}\n`;
}

/** The same by variable. */
export function shownSettings(config: Config): Record<string, string> {
  return Object.fromEntries(settings.map((setting) => [setting.name, describeSetting(setting, config)]));
}

function describeSetting(setting: Setting, config: Config): string {
  return describeValue(setting.path.reduce<unknown>((part, key) => memberOf(part, key), config));
}

function memberOf(part: unknown, key: string): unknown {
  return typeof part === 'object' && part !== null ? Reflect.get(part, key) : undefined;
}

function describeValue(value: unknown): string {
  if (value === undefined) return '-';
  if (Array.isArray(value)) return value.map(describeValue).join(', ');
  return isApiKey(value) ? describeApiKey(value) : String(value);
}

function isApiKey(value: unknown): value is ApiKey {
  return typeof value === 'object' && value !== null && 'app' in value && 'digest' in value;
}

/** Enough of the digest to tell two keys apart. */
function describeApiKey({ app, digest }: ApiKey): string {
  return `${app} (sha256 ${digest.toString('hex').slice(0, 8)}…)`;
}
