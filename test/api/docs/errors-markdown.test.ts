import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
// @ts-expect-error: the scripts have no types.
import { errorsMarkdown } from '../../../scripts/errors-markdown.mjs';
import { problemCodes, problems } from '../../../src/api/http/problems.js';
import { failureMessages } from '../../../src/otp/otp.js';

const page = errorsMarkdown({ problems, failureMessages });

describe('docs/errors.md', () => {
  it('matches the problem table; if not, run `npm run docs:write`', () => {
    const file = new URL('../../../docs/errors.md', import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(page);
  });

  it('has a detail and advice for every code', () => {
    for (const code of problemCodes) {
      expect(problems[code].detail).toMatch(/\.$/);
      expect(problems[code].advice).toMatch(/^[A-Z].*[.?]$/);
      expect(page).toContain(`| \`${code}\` |`);
    }
  });
});
