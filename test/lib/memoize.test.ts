import { expect, it } from 'vitest';
import { memoize, once } from '../../src/lib/memoize.js';

it('computes a result once, until the cache is full', () => {
  const asked: string[] = [];
  const length = memoize((text) => {
    asked.push(text);
    return text.length;
  });
  expect([length('abc'), length('abc'), length('')]).toEqual([3, 3, 0]);
  expect(asked).toEqual(['abc', '']);
  for (let i = 0; i < 10_000; i++) length(`n${i}`);
  asked.length = 0;
  expect(length('abc')).toBe(3);
  expect(asked).toEqual(['abc']);
});

it('makes a lazy part once, and again after it could not be made', async () => {
  let made = 0;
  const part = once(async () => {
    made += 1;
    if (made === 1) throw new Error('away');
    return { made };
  });
  await expect(part()).rejects.toThrow('away');
  expect([await part(), await part()]).toEqual([{ made: 2 }, { made: 2 }]);
});
