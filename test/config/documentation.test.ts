import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { appsJsonSchema } from '../../src/config/apps-file.js';
import { configurationMarkdown } from '../../src/config/documentation.js';
import { issuedSecret } from '../../src/config/formats.js';
import { settings } from '../../src/config/roles.js';
import { variable } from '../../src/config/variables.js';

describe('docs/configuration.md', () => {
  it('is what the schema says; if not, run `npm run docs:write`', () => {
    const file = new URL('../../docs/configuration.md', import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(configurationMarkdown());
  });

  it('comes with the JSON Schema of APPS_FILE; if not, run `npm run docs:write`', () => {
    const file = new URL('../../docs/apps.schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(appsJsonSchema());
  });

  it('says of every variable what it means and what it must be', () => {
    expect(settings.filter(({ meaning, expected }) => !meaning || !expected)).toEqual([]);
  });

  it('says which commands require a variable', () => {
    const row = configurationMarkdown().match(/^\| `ENCRYPTION_KEYS` .*$/m)?.[0];
    expect(row).toContain('| `api`, `worker`,');
  });
});

it('refuses a second variable for the same part of the schema, which would replace the first', () => {
  expect(() => variable('SECOND', issuedSecret, { meaning: 'Another secret.' })).toThrow('SECOND');
});
