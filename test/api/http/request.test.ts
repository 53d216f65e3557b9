import { expect, it } from 'vitest';
import { waitSeconds } from '../../../src/api/http/request.js';

it.each([
  ['wait=10', 10],
  ['WAIT = 10', 10],
  ['wait="10"', 10],
  ['wait=0', 0],
  ['wait=30', 30],
  ['wait=31', 30],
  ['wait=99999999999999999999', 30],
  ['respond-async, wait=5', 5],
  ['foo="a, wait=1", wait=2', 2],
  ['foo; wait=1, wait=2', 2],
  ['wait=3; anything', 3],
  ['wait=1, wait=2', 1],
])('waits by "%s" for %i s', (header, seconds) => {
  expect(waitSeconds(header)).toBe(seconds);
});

it.each([
  undefined,
  '',
  'wait',
  'wait=',
  'wait=-1',
  'wait=1.5',
  'wait=1e1',
  'wait=soon',
  'wait=soon, wait=2',
  'await=3',
])('ignores "%s"', (header) => expect(waitSeconds(header)).toBeNull());

it('ignores a long Prefer header without parsing it', () => {
  // CPU time of this process; quadratic parsing would take minutes.
  const before = process.cpuUsage();
  expect(waitSeconds(`${'"\\'.repeat(500_000)}, wait=1`)).toBeNull();
  expect(process.cpuUsage(before).user / 1_000).toBeLessThan(5_000);
});
