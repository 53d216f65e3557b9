import { type BenchOptions, readOptions } from './options.js';
import type { Figure } from './pairs.js';
import { writeResults } from './results.js';
import type { Row } from './row.js';
import { rows } from './rows.js';
import { withStand } from './support/stand.js';
import { failedLine, tableHead, tableLine } from './table.js';

/*
 * `npm run bench -- [--short] [--everysec] [row …]`: measures each row against its counterparts and prints the table.
 * Exits with 1 when a row could not be measured; a goal that was missed is only marked, since machines differ.
 */

const say = (line: string) => void process.stdout.write(`${line}\n`);

/** The row's figures, or null when it threw; says which either way. */
async function measure(row: Row, options: BenchOptions): Promise<Figure[] | null> {
  try {
    const figures = await withStand(options, row.run);
    for (const figure of figures) say(tableLine([figure], !options.short));
    return figures;
  } catch (error) {
    say(failedLine(row.name, error));
    return null;
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), rows);
  say(tableHead);
  for (const row of options.rows) {
    const figures = await measure(row, options);
    if (figures === null) process.exitCode = 1;
    else if (!options.short) writeResults(figures, options.appendfsync);
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
