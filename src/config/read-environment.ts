import { readFileSync } from 'node:fs';
import type { Mistake } from './config-error.js';
import type { Setting } from './variables.js';

/** Environment variables as `process.env` holds them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The text of each variable that is set; an empty one counts as unset. */
export interface Reading {
  texts: Map<string, string>;
  mistakes: Mistake[];
}

/** Takes the texts of the settings out of the environment, secrets also out of the files that it names. */
export function readEnvironment(env: Environment, settings: readonly Setting[]): Reading {
  const reading: Reading = { texts: new Map(), mistakes: [] };
  for (const { name, secret } of settings) {
    const path = secret ? env[`${name}_FILE`] : undefined;
    if (env[name] && path) {
      reading.mistakes.push({ variable: name, problem: `and ${name}_FILE are both set; keep one of them` });
      continue;
    }
    const text = path ? readSecret(name, path, reading.mistakes) : env[name];
    if (text) reading.texts.set(name, text);
  }
  return reading;
}

function readSecret(name: string, path: string, mistakes: Mistake[]): string | undefined {
  const variable = `${name}_FILE`;
  try {
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    if (!text) mistakes.push({ variable, problem: 'names an empty file' });
    return text;
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    mistakes.push({ variable, problem: `must name a file that can be read (${reason})` });
    return undefined;
  }
}
