import { describe, expect, it } from 'vitest';
import { balanceAlarms, consumption } from '../../src/otp/balance.js';

const dayMs = 86_400_000;
const now = Date.parse('2026-06-01T00:00:00Z');
const limits = { lowCredits: 100, expiryWarnDays: 14 };

describe('balanceAlarms', () => {
  it('raises `low` below the limit, not at it', () => {
    expect(balanceAlarms({ credits: 99.9, expiresOn: null }, limits, now).low).toBe(true);
    expect(balanceAlarms({ credits: 100, expiresOn: null }, limits, now).low).toBe(false);
  });

  it('raises `expiring` that many days before the expiry, and not without one', () => {
    expect(balanceAlarms({ credits: 1e3, expiresOn: '2026-06-15' }, limits, now).expiring).toBe(true);
    expect(balanceAlarms({ credits: 1e3, expiresOn: '2026-06-16' }, limits, now).expiring).toBe(false);
    expect(balanceAlarms({ credits: 1e3, expiresOn: null }, limits, now).expiring).toBe(false);
  });
});

describe('consumption', () => {
  const points = (...credits: number[]) => credits.map((one, i) => ({ at: now + i * dayMs, credits: one }));

  it('counts used credits and ignores top-ups', () => {
    const found = consumption(points(100, 90, 190, 180), now);
    expect(found).toEqual({ creditsPerDay: 6.7, runsOutOn: '2026-06-28' });
  });

  it('is unknown with less than an hour of history or without consumption', () => {
    expect(consumption([], now)).toEqual({ creditsPerDay: null, runsOutOn: null });
    expect(consumption(points(100), now)).toEqual({ creditsPerDay: null, runsOutOn: null });
    expect(consumption(points(100, 100), now)).toEqual({ creditsPerDay: 0, runsOutOn: null });
  });
});
