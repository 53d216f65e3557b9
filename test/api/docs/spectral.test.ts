import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Not a development dependency: 243 packages, 68 MB. npm keeps it in its cache. */
const spectral = '@stoplight/spectral-cli@6.16.3';

it('the OpenAPI document follows the rules of Spectral', { timeout: 240_000 }, async () => {
  const lint = ['spectral', 'lint', '--ruleset', 'test/api/docs/spectral.yaml', '--fail-severity', 'hint'];
  const command = ['--yes', '--package', spectral, '--', ...lint, 'docs/openapi.json'];
  const found = await promisify(execFile)('npx', command).catch((error: { stdout: string }) => error);
  expect(found.stdout).toContain('No results with a severity of');
});
