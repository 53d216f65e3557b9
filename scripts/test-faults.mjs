// Runs the fault tests at full size and prints the table of docs/reliability.md.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directory = mkdtempSync(join(tmpdir(), 'faults-'));
const file = join(directory, 'table.jsonl');
writeFileSync(file, '');
const tests = [
  'test/faults',
  'test/model',
  'test/store/conversion.test.ts',
  'test/store/number-ranges.test.ts',
  'test/api/http/hostile-app.test.ts',
  'test/api/http/slow-sockets.test.ts',
];
const env = { ...process.env, FAULTS: 'full', FAULTS_TABLE: file };
const { status } = spawnSync(
  'npx',
  ['vitest', 'run', '--no-file-parallelism', ...tests, ...process.argv.slice(2)],
  {
    env,
    stdio: 'inherit',
  },
);
const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
const rows = lines
  .map((line) => JSON.parse(line))
  .map(({ scenario, result, promise }) => [scenario, result, promise]);
const table = [['scenario', 'result', 'promise'], ['---', '---', '---'], ...rows];
process.stdout.write(`${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`);
rmSync(directory, { recursive: true });
process.exitCode = status ?? 1;
