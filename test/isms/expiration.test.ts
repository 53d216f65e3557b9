import { expect, test } from 'vitest';
import { parseExpiration } from '../../src/isms/provider.js';

test.each([
  ['29 Apr 2025', '2025-04-29'],
  ['1 January 2026', '2026-01-01'],
  [' 09 DEC 2030 ', '2030-12-09'],
  ['29 Feb 2024', '2024-02-29'],
])('%j is the day %s', (text, day) => {
  expect(parseExpiration(text)).toBe(day);
});

const noDays = ['', '29 Feb 2025', '31 Apr 2025', '0 Apr 2025', '29 Foo 2025', '29 A 2025', '2025-04-29'];
test.each([
  ...noDays,
  '29 Apr 25',
  '29 Apr 0025',
  '29  Apr 2025',
  '29 Apr 2025 x',
  'x'.repeat(60_000),
  null,
  undefined,
  1,
  {},
])('%j is no day', (value) => {
  expect(parseExpiration(value)).toBeNull();
});
