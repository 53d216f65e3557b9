import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);

it('every benchmark runs', { timeout: 240_000 }, async () => {
  await run('npm', ['run', '--silent', 'build:bench']);
  const { stdout } = await run(process.execPath, ['dist-bench/bench/bench.js', '--short']).catch(
    (error: { stdout: string }) => error,
  );
  const lines = stdout.trim().split('\n').slice(2);
  expect(lines.filter((line) => line.includes('FAILED'))).toEqual([]);
  expect(lines.length).toBeGreaterThanOrEqual(13);
});
