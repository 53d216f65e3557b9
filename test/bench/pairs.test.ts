import { expect, it } from 'vitest';
import { type Figure, resultOf, takePairs, usualResultOf } from '../../bench/pairs.js';
import { median, percentile } from '../../bench/support/statistics.js';
import { tableHead, tableLine } from '../../bench/table.js';

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

it('a third side has its turn before bare or after it, and the CPU time of a process is known for each', async () => {
  const order: string[] = [];
  const side = (name: string) => async () => order.push(name);
  const sides = { ours: side('ours'), bare: side('bare'), usual: side('usual'), pids: { ours: process.pid } };
  const pairs = await takePairs({ rounds: 2, count: 10, warmUp: 0 }, sides);
  expect(order).toEqual(['usual', 'bare', 'ours', 'ours', 'bare', 'usual']);
  expect(pairs).toEqual([
    { usual: 1, bare: 2, ours: 3, cpuUs: { ours: expect.any(Number) } },
    { usual: 6, bare: 5, ours: 4, cpuUs: { ours: expect.any(Number) } },
  ]);
});

it('a line of the table has the result against each counterpart, of each run, and the CPU time', () => {
  const pairs = [{ ours: 90, bare: 100, usual: 50, cpuUs: { ours: 210, bare: 200.4 } }];
  const newest = figure({ pairs, usualGoal: { atLeast: 2 } });
  const older = figure({ pairs: [{ ours: 70, bare: 100, usual: 50 }], usualGoal: { atLeast: 2 } });
  expect(usualResultOf(newest)?.value).toBe(1.8);
  expect(usualResultOf(figure({}))).toBe(null);
  const cells = (line: string) => line.split('|').map((cell) => cell.trim());
  expect(cells(tableHead.split('\n')[0] ?? '')).toHaveLength(11);
  expect(cells(tableLine([newest, older], true)).slice(1, -1)).toEqual([
    'sends',
    '90 sends/s',
    '100 sends/s',
    '0.70×, 0.90×',
    '≥ 0.80× reached in 1 of 2',
    '50 sends/s',
    '1.40×, 1.80×',
    '≥ 2.00× MISSED',
    '210, 200, –',
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
