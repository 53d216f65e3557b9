import { expect, it } from 'vitest';
import { type Figure, resultOf, takePairs } from '../../bench/pairs.js';
import { median, percentile } from '../../bench/support/statistics.js';

const figure = (overrides: Partial<Figure>): Figure => ({
  name: 'sends',
  unit: 'sends/s',
  judged: 'ratio',
  goal: { atLeast: 0.8 },
  pairs: [
    { ours: 80, bare: 100 },
    { ours: 90, bare: 100 },
    { ours: 10, bare: 100 },
  ],
  ...overrides,
});

it('the sides alternate in being first, after a warm-up that does not count', async () => {
  const calls: string[] = [];
  const side = (name: string) => async (count: number) => {
    calls.push(`${name} ${count}`);
    return count;
  };
  const sides = { ours: side('ours'), bare: side('bare') };
  const pairs = await takePairs({ rounds: 2, count: 9, warmUp: 4 }, sides);
  expect(calls).toEqual(['bare 4', 'ours 4', 'bare 9', 'ours 9', 'ours 9', 'bare 9']);
  expect(pairs).toEqual([
    { ours: 9, bare: 9 },
    { ours: 9, bare: 9 },
  ]);
});

it('a result is the median of the pairs, so one bad pair decides nothing', () => {
  expect(resultOf(figure({}))).toEqual({ value: 0.8, least: 0.1, greatest: 0.9, reached: true });
  expect(resultOf(figure({ judged: 'difference', goal: { atMost: -15 } }))).toMatchObject({
    value: -20,
    reached: true,
  });
  expect(resultOf(figure({ judged: 'ours', goal: { atMost: 79 } }))).toMatchObject({
    value: 80,
    reached: false,
  });
});

it('median and percentile know even and odd numbers of values, and that there are none', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(percentile([5, 1, 4, 2, 3], 0.99)).toBe(5);
  expect(() => median([])).toThrow('nothing was measured');
});
