import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type Machine, machine } from './machine.js';
import { type Figure, resultOf } from './pairs.js';
import type { StandOptions } from './support/stand.js';

const file = 'bench/results.json';

/** The newest figures of each row under one `appendfsync`. */
type Lines = Record<string, Figure & { measuredAt: string; result: ReturnType<typeof resultOf> }>;

interface Results {
  machine: Machine;
  always: Lines;
  everysec: Lines;
}

/** Puts figures into the file of results, beside those of other rows that were measured on the same machine. */
export function writeResults(figures: readonly Figure[], appendfsync: StandOptions['appendfsync']): void {
  const results = readResults();
  const measuredAt = new Date().toISOString();
  for (const figure of figures) {
    results[appendfsync][figure.name] = { ...figure, measuredAt, result: resultOf(figure) };
  }
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}

function readResults(): Results {
  const now = machine();
  const nothing = { machine: now, always: {}, everysec: {} };
  if (!existsSync(file)) return nothing;
  const before = JSON.parse(readFileSync(file, 'utf8')) as Results;
  return isDeepStrictEqual(before.machine, now) ? before : nothing;
}
