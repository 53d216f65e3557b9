import { parseArgs } from 'node:util';
import type { Row } from './row.js';
import type { StandOptions } from './support/stand.js';

export const usage = 'usage: npm run bench -- [--short] [--everysec] [row …]';

/** What the command line asks for. */
export interface BenchOptions extends StandOptions {
  rows: readonly Row[];
}

/** Reads the command line; no row means all. Throws with the usage when it is not understood. */
export function readOptions(args: string[], rows: readonly Row[]): BenchOptions {
  const { values, positionals } = parse(args);
  const names = rows.flatMap(namesOf);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no row ${unknown.join(', ')}; there are: ${names.join(', ')}`);
  return {
    short: values.short,
    appendfsync: values.everysec ? 'everysec' : 'always',
    rows:
      positionals.length === 0
        ? rows
        : rows.filter((row) => namesOf(row).some((name) => positionals.includes(name))),
  };
}

function namesOf({ name, also = [] }: Row): string[] {
  return [name, ...also];
}

function parse(args: string[]) {
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({ args, allowPositionals: true, options: { short: flag, everysec: flag } });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}
