import { describe, expect, it } from 'vitest';
import { createUuidMaker } from '../src/uuid.js';

describe('createUuidMaker', () => {
  it('makes version 1 UUIDs that tell the time they were made', () => {
    const now = Date.parse('2026-01-02T03:04:05.678Z');
    const [low, middle, high] = createUuidMaker(() => now)().split('-');
    const ticks = BigInt(`0x${high?.slice(1)}${middle}${low}`);
    expect(high?.[0]).toBe('1');
    expect(Number(ticks / 10_000n) - Number(122_192_928_000_000_000n / 10_000n)).toBe(now);
  });

  it('never makes the same twice, though the clock stands still or goes back', () => {
    let now = 2_000;
    const make = createUuidMaker(() => now--);
    expect(new Set(Array.from({ length: 100 }, make)).size).toBe(100);
  });
});
