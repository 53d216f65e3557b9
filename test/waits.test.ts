import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

// Fault tests have outages of a given length, and times that are promised.
const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.ts') && !path.startsWith('faults/'),
);
const sleep = String.raw`await (?:sleep|new Promise\(\(\w+\) => setTimeout)\([^;]*;`;

it.each([
  [
    'sleeps for a fixed time and then asserts',
    new RegExp(String.raw`\n {2,}${sleep}\s*(?:\/\/.*\s*)*expect\(`),
  ],
  ['asserts a wall-clock budget', /expect\(\s*(?:performance|Date)\.now\(\) - \w+,?\s*\)\s*\.toBeLessThan/],
])('no test %s: CONTRIBUTING.md says what to do instead', (_what, pattern) => {
  expect(files.filter((path) => pattern.test(readFileSync(`test/${path}`, 'utf8')))).toEqual([]);
});
