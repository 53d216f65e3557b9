import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

/** Lints `source` under this project's rules as if it were a file of the room `otp`. */
function lintInOtp(source: string): { status: number | null; said: string } {
  const directory = mkdtempSync(join(tmpdir(), 'otp-rooms-'));
  try {
    mkdirSync(join(directory, 'src/otp'), { recursive: true });
    copyFileSync('biome.json', join(directory, 'biome.json'));
    writeFileSync(join(directory, 'src/otp/visitor.ts'), source);
    const args = ['lint', '--vcs-enabled=false', '.'];
    const biome = resolve('node_modules/.bin/biome');
    const { stderr, status } = spawnSync(biome, args, { cwd: directory, encoding: 'utf8' });
    return { status, said: stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it('a room cannot be entered through a door that is not in biome.json', () => {
  const { status, said } = lintInOtp("export { keys } from '../store/keys.js';\n");
  expect(said).toContain('noRestrictedImports');
  expect(status).not.toBe(0);
});

it('an import inside the room is no violation', () => {
  expect(lintInOtp("export { statuses } from './states.js';\n")).toMatchObject({ status: 0 });
});
