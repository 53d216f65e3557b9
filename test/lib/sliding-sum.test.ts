import { expect, it } from 'vitest';
import { createSlidingSum } from '../../src/lib/sliding-sum.js';

it('an amount counts for 99 to 100 % of the window, whenever it was added', () => {
  for (const addedAt of [0, 37, 99, 5_050, 123_456]) {
    let now = addedAt;
    const sum = createSlidingSum(10_000, () => now);
    sum.add(3);
    now = addedAt + 9_900 - 100;
    expect(sum.total).toBe(3);
    now = addedAt + 10_000;
    expect(sum.total).toBe(0);
  }
});

it('sums amounts of different times, and drops each when it is too old', () => {
  let now = 0;
  const sum = createSlidingSum(10_000, () => now);
  for (now = 0; now < 30_000; now += 50) sum.add(1);
  expect(sum.total).toBeGreaterThanOrEqual(198);
  expect(sum.total).toBeLessThanOrEqual(200);
  now += 10_000;
  expect(sum.total).toBe(0);
});
