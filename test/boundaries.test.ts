import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

/** Lints a file of that folder that exports everything of `imported`, under this project's rules. */
function lint(folder: string, imported: string): { status: number | null; stderr: string } {
  const directory = mkdtempSync(join(tmpdir(), 'boundaries-'));
  try {
    mkdirSync(join(directory, folder), { recursive: true });
    copyFileSync('biome.json', join(directory, 'biome.json'));
    writeFileSync(join(directory, folder, 'visitor.ts'), `export * from '${imported}';\n`);
    const args = ['lint', '--vcs-enabled=false', '.'];
    const biome = resolve('node_modules/.bin/biome');
    const { status, stderr } = spawnSync(biome, args, { cwd: directory, encoding: 'utf8' });
    return { status, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it.each([
  ['src/otp', '../store/keys.js'],
  ['src/otp', 'isms-otp-client'],
  ['src/api/routes', 'isms-2fa-simulator'],
  ['src/cli', 'isms-2fa-simulator'],
  ['packages/client/src', '../../../src/otp/otp.js'],
  ['packages/client/src', 'zod'],
  ['packages/client/src', 'node:crypto'],
  ['packages/simulator/src', '../../../src/otp/otp.js'],
  ['packages/simulator/src', 'isms-otp-client'],
])('biome rejects an import in %s of %s', (folder, imported) => {
  const { status, stderr } = lint(folder, imported);
  expect(stderr).toContain('noRestrictedImports');
  expect(status).not.toBe(0);
});

it.each([
  ['src/otp', './otp.js'],
  ['src/api/compat', './isms-compat.js'],
  ['src/cli', 'isms-otp-client'],
  ['packages/client/src', './types.js'],
  ['packages/simulator/src', 'node:crypto'],
])('biome accepts an import in %s of %s', (folder, imported) => {
  expect(lint(folder, imported)).toMatchObject({ status: 0 });
});
