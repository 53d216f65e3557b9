import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Lints `source` as if it were a file of the room `otp`. */
const lintInOtp = (source: string) => {
  const args = ['biome', 'lint', '--stdin-file-path=src/otp/visitor.ts'];
  const { stdout, stderr, status } = spawnSync('npx', args, { input: source, encoding: 'utf8' });
  return { status, said: stdout + stderr };
};

it('a room cannot be entered through a door that is not in biome.json', () => {
  const { status, said } = lintInOtp("export { keys } from '../store/keys.js';\n");
  expect(said).toContain('noRestrictedImports');
  expect(status).not.toBe(0);
});

it('an import inside the room is no violation', () => {
  expect(lintInOtp("export { statuses } from './states.js';\n").status).toBe(0);
});
