import { beforeEach, describe, expect, it } from 'vitest';
import { createRetryBudget, type RetryBudget } from '../../src/otp/retry-budget.js';

let now: number;
let budget: RetryBudget;

beforeEach(() => {
  now = 0;
  budget = createRetryBudget(() => now);
});

const earn = (calls: number) => {
  for (let i = 0; i < calls; i++) budget.earn();
};
/** How many of `wanted` extra calls are let through right now. */
const spent = (wanted: number) => Array.from({ length: wanted }, () => budget.spend()).filter(Boolean).length;

describe('the retry budget', () => {
  it('lets through a tenth of the first calls, and ten more', () => {
    earn(1_000);
    expect(spent(500)).toBe(110);
  });

  it('never starves retries alone: one a second', () => {
    let extras = 0;
    for (now = 0; now < 100_000; now += 100) extras += spent(3);
    expect(extras).toBeGreaterThanOrEqual(100);
    expect(extras).toBeLessThanOrEqual(112);
  });

  it('saves up nothing in a quiet hour', () => {
    for (now = 0; now < 3_600_000; now += 1_000) earn(10);
    now += 10_000;
    expect(spent(500)).toBe(10);
  });

  it('holds over every ten seconds, while everybody wants to retry', () => {
    const extras: number[] = [];
    for (now = 0; now < 60_000; now += 10) {
      earn(1);
      extras.push(...Array<number>(spent(5)).fill(now));
    }
    for (let from = 0; from <= 50_000; from += 500) {
      const within = extras.filter((at) => at >= from && at < from + 9_900).length;
      expect(within).toBeLessThanOrEqual(110);
    }
    expect(extras.length).toBeGreaterThan(600);
  });
});
