import { memoize } from '../lib/memoize.js';
import { hourMs } from '../lib/time.js';

/** What budgets hold for. */
export const budgetPeriods = ['day', 'month'] as const;
export type BudgetPeriod = (typeof budgetPeriods)[number];

/** The day or month of a time zone that a moment is in. */
interface CurrentPeriod {
  /** `2026-11-28`, or `2026-11`. */
  name: string;
  /** Milliseconds since 1970. */
  endsAt: number;
}

/** Longer than any day, or month, of any time zone. */
const longestMs = { day: 30 * hourMs, month: 32 * 24 * hourMs };

/** For an IANA time zone: a function that returns the day or month that a moment is in. */
export const currentPeriodIn = memoize((timeZone) => {
  const format = new Intl.DateTimeFormat('en', {
    timeZone,
    ...{ year: 'numeric', month: '2-digit', day: '2-digit' },
  });
  const nameAt: Record<BudgetPeriod, (at: number) => string> = {
    day: (at) => {
      const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
      return `${parts['year']}-${parts['month']}-${parts['day']}`;
    },
    month: (at) => nameAt.day(at).slice(0, '2026-11'.length),
  };
  /** The first millisecond whose name is another one: found by halving, so that changes of the clock do not matter. */
  const endOf = (period: BudgetPeriod, now: number) => {
    const name = nameAt[period](now);
    let [within, after] = [now, now + longestMs[period]];
    while (after - within > 1) {
      const middle = Math.floor((within + after) / 2);
      if (nameAt[period](middle) === name) within = middle;
      else after = middle;
    }
    return after;
  };
  const known = new Map<BudgetPeriod, CurrentPeriod & { from: number }>();
  return (period: BudgetPeriod, now: number): CurrentPeriod => {
    const last = known.get(period);
    if (last && last.from <= now && now < last.endsAt) return last;
    const found = { name: nameAt[period](now), endsAt: endOf(period, now), from: now };
    known.set(period, found);
    return found;
  };
});
