import { describe, expect, it } from 'vitest';
import { currentPeriodIn } from '../../src/otp/budget.js';

const at = (text: string) => Date.parse(text);

describe('the current day and month of a time zone', () => {
  it.each([
    ['Asia/Kuala_Lumpur', '2026-11-30T15:59:59.999Z', '2026-11-30', '2026-11-30T16:00:00.000Z'],
    ['Asia/Kuala_Lumpur', '2026-11-30T16:00:00.000Z', '2026-12-01', '2026-12-01T16:00:00.000Z'],
    ['UTC', '2026-02-28T12:00:00.000Z', '2026-02-28', '2026-03-01T00:00:00.000Z'],
    // Days of 25 and 23 hours.
    ['Europe/Berlin', '2026-10-25T00:00:00.000Z', '2026-10-25', '2026-10-25T23:00:00.000Z'],
    ['Europe/Berlin', '2026-03-29T00:00:00.000Z', '2026-03-29', '2026-03-29T22:00:00.000Z'],
    // Midnight does not exist on 2026-09-06 there.
    ['America/Santiago', '2026-09-05T12:00:00.000Z', '2026-09-05', '2026-09-06T04:00:00.000Z'],
  ])('%s at %s: the day is %s, until %s', (zone, now, name, end) => {
    expect(currentPeriodIn(zone)('day', at(now))).toMatchObject({ name, endsAt: at(end) });
  });

  it.each([
    ['2026-11-30T15:59:59.999Z', '2026-11', '2026-11-30T16:00:00.000Z'],
    ['2026-11-30T16:00:00.000Z', '2026-12', '2026-12-31T16:00:00.000Z'],
    ['2026-10-31T16:00:00.000Z', '2026-11', '2026-11-30T16:00:00.000Z'],
  ])('at %s the month is %s, until %s', (now, name, end) => {
    expect(currentPeriodIn('Asia/Kuala_Lumpur')('month', at(now))).toMatchObject({ name, endsAt: at(end) });
  });
});
