import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorsMarkdown } from '../../../src/api/docs/errors-markdown.js';
import { problemCodes, problems } from '../../../src/api/http/problems.js';

describe('docs/errors.md', () => {
  it('matches the problem table; if not, run `npm run docs:write`', () => {
    const file = new URL('../../../docs/errors.md', import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(errorsMarkdown());
  });

  it('has a detail and advice for every code', () => {
    for (const code of problemCodes) {
      expect(problems[code].detail).toMatch(/\.$/);
      expect(problems[code].advice).toMatch(/^[A-Z].*[.?]$/);
      expect(errorsMarkdown()).toContain(`| \`${code}\` |`);
    }
  });
});
