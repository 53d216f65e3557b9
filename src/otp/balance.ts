import { dayMs, dayOf, hourMs } from '../lib/time.js';

/** As late as `YYYY-MM-DD` can name a day. */
const lastDay = Date.UTC(9999, 11, 31);

/** Days of history from which the consumption is computed. */
export const consumptionDays = 7;

interface BalancePoint {
  /** Milliseconds since 1970, UTC. */
  at: number;
  credits: number;
}

/** Credits below `lowCredits` are low; an expiry (`YYYY-MM-DD`) within `expiryWarnDays` of now is near. */
export interface BalanceLimits {
  lowCredits: number;
  expiryWarnDays: number;
}

export function balanceAlarms(
  balance: { credits: number; expiresOn: string | null },
  { lowCredits, expiryWarnDays }: BalanceLimits,
  now: number,
) {
  const expiresAt = balance.expiresOn === null ? Number.POSITIVE_INFINITY : Date.parse(balance.expiresOn);
  return { low: balance.credits < lowCredits, expiring: expiresAt - now <= expiryWarnDays * dayMs };
}

const alarmMessages: Record<keyof ReturnType<typeof balanceAlarms>, string> = {
  low: 'credits are low: top up the iSMS account',
  expiring: 'credits expire soon and are forfeited then: top up or extend the iSMS account',
};

/** The log text when an alarm starts or ends. */
export function alarmMessage(alarm: keyof typeof alarmMessages, on: boolean): string {
  return on ? alarmMessages[alarm] : `balance alarm is over: ${alarm}`;
}

/** Null: unknown; for the day also: out of sight. */
export interface Consumption {
  creditsPerDay: number | null;
  /** `YYYY-MM-DD`, UTC. */
  runsOutOn: string | null;
}

/**
 * Credits used per day, and the day (`YYYY-MM-DD`, UTC) on which they run out at that rate. `points` are oldest first;
 * rises are top-ups and do not count. Both are null with less than an hour of history; the day is null without use.
 */
export function consumption(points: readonly BalancePoint[], now: number): Consumption {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || last.at - first.at < hourMs) return { creditsPerDay: null, runsOutOn: null };
  const used = points.reduce(
    (sum, point, i) => sum + Math.max(0, (points[i - 1]?.credits ?? 0) - point.credits),
    0,
  );
  const perDay = used / ((last.at - first.at) / dayMs);
  const runsOutAt = now + (last.credits / perDay) * dayMs;
  return {
    creditsPerDay: Math.round(perDay * 10) / 10,
    runsOutOn: runsOutAt < lastDay ? dayOf(runsOutAt) : null,
  };
}
