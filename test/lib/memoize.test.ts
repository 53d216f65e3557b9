import { expect, it } from 'vitest';
import { memoize } from '../../src/lib/memoize.js';

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
