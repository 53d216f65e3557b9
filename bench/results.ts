import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type Machine, machine } from './machine.js';
import type { Figure } from './pairs.js';
import type { StandOptions } from './support/stand.js';

const file = 'bench/results.json';

/** As many runs of each row are kept, the newest first. */
const runsKept = 3;

/** What one run of a row found. */
export interface Run extends Figure {
  measuredAt: string;
}

/** The newest runs of each row under one `appendfsync`. */
export type Runs = Record<string, Run[]>;

export interface Results {
  machine: Machine;
  always: Runs;
  everysec: Runs;
}

/** Puts figures into the file of results, beside those of other runs and rows on the same machine. */
export function writeResults(figures: readonly Figure[], appendfsync: StandOptions['appendfsync']): void {
  const now = machine();
  const before = readResults();
  const results = isDeepStrictEqual(before?.machine, now)
    ? (before as Results)
    : { machine: now, always: {}, everysec: {} };
  const measuredAt = new Date().toISOString();
  for (const figure of figures) {
    const run = { ...figure, measuredAt };
    const runs = results[appendfsync][figure.name] ?? [];
    results[appendfsync][figure.name] = [run, ...runs].slice(0, runsKept);
  }
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}

/** All that has been measured; null: nothing yet. */
export function readResults(): Results | null {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : null;
}
