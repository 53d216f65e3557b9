import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { settings } from '../../src/config/commands.js';
import { configurationMarkdown } from '../../src/config/documentation.js';

describe('docs/configuration.md', () => {
  it('is what the schema says; if not, run `npm run docs:config`', () => {
    const file = new URL('../../docs/configuration.md', import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(configurationMarkdown());
  });

  it('says of every variable what it means and what it must be', () => {
    expect(settings.filter(({ meaning, expected }) => !meaning || !expected)).toEqual([]);
  });

  it('says which commands require a variable', () => {
    const row = configurationMarkdown().match(/^\| `API_KEYS` .*$/m)?.[0];
    expect(row).toContain('| `api` |');
  });
});
