import { expect, it } from 'vitest';
import { backoffMs } from '../../src/otp/backoff.js';

const many = (tries: number, remainingMs: number) =>
  Array.from({ length: 2_000 }, () => backoffMs(tries, remainingMs));

it('doubles the ceiling with each try, up to a minute, with full jitter', () => {
  expect(Math.max(...many(1, 1e9))).toBeLessThan(1_000);
  expect(Math.max(...many(4, 1e9))).toBeGreaterThan(7_000);
  expect(Math.min(...many(4, 1e9))).toBeLessThan(1_000);
  expect(Math.max(...many(30, 1e9))).toBeLessThan(60_000);
});

it('never waits past the deadline', () => {
  expect(Math.max(...many(10, 500))).toBeLessThan(500);
  expect(backoffMs(3, -1)).toBe(0);
});
