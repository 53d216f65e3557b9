import { resolved } from '../../lib/map-ordered.js';
import { slotMs } from '../../lib/tally.js';
import { dayMs, hourMs, minuteMs } from '../../lib/time.js';
import type { App } from '../../otp/app.js';
import { type LimitedRange, shownRange } from '../../store/number-ranges.js';
import type { StatsSlot } from '../../store/stats.js';
import type { ApiDependencies } from '../dependencies.js';
import { alarmsOf } from './overview-alarms.js';
import { unendedBatches } from './overview-batches.js';
import type { createWeeks } from './overview-weeks.js';

/** Spans in hours, and how many slots of the statistics make one point of their charts. */
const slotsPerPoint = { 1: 1, 6: 1, 24: 3, 168: 24 } as const;

/** Past shown by the curve of the balance. */
const balanceDays = 30;
/** Points of the balance's curve; more are not visible. */
const mostPoints = 200;
/** Allowed and denied numbers shown. */
const mostNumbers = 50;
const noNumbers = { entries: [], unreadable: 0 };
/** Processes write their counts within this time. */
const writtenWithinMs = 5_000;
/** The longest that a code can be verified after its send. */
const longestTtlMs = 600_000;

/** Reads every figure that the overview shows. */
export async function overviewOf(
  { store, sendOtpQueue, webhookQueue, settings, apps: known }: ApiDependencies,
  { hours, weeks }: { hours: keyof typeof slotsPerPoint; weeks: ReturnType<typeof createWeeks> },
) {
  const now = Date.now();
  /** Parts that could not be read: an unavailable master of a cluster must not hide what others have. */
  const unread: string[] = [];
  const orElse = <T, E>(part: string, read: Promise<T>, empty: E): Promise<T | E> =>
    read.catch(() => {
      unread.push(part);
      return empty;
    });
  const { slots, backlog, since, active, memory, limited, numberLists, webhooks, ...shown } = await resolved({
    slots: orElse('statistics', store.stats.read(now - hours * hourMs), []),
    backlog: sendOtpQueue.backlog(),
    since: sendOtpQueue.waitingSince(),
    active: orElse('lines waiting in batches', store.waitingLines.active(), []),
    memory: store.load.memory(),
    balance: orElse('balance', balanceOf(store, now), null),
    limited: orElse('limited number ranges', store.ranges.limited(), []),
    numberLists: orElse('allowed and denied numbers', store.numberLists.read(), noNumbers),
    webhooks: webhookQueue && orElse('events to deliver', webhookQueue.counts(), null),
    paused: orElse('pause of sending', store.sendingPause.reason(), null),
    holds: orElse('apps on hold', store.appHolds.read(), []),
    lowConversions: orElse('low conversions', store.conversion.alarms(), []),
    batches: orElse('batches', unendedBatches(store), { shown: [], more: 0 }),
    apps: orElse('apps', appsOf(store, known.all()), []),
    weeks: orElse('comparison of weeks', weeks(), { apps: [], countries: [] }),
  });
  const longestMs = since === null ? 0 : Math.max(0, now - since);
  const lines = active.reduce((sum, { waiting }) => sum + waiting, 0);
  const facts = {
    ...shown,
    now,
    hours,
    points: pointsOf(slots, slotsPerPoint[hours], now),
    waiting: { single: backlog.single + backlog.delayed, bulk: backlog.bulk + lines, longestMs },
    /** False: the guard only monitors. */
    guardEnforces: settings.fraudGuardEnforces,
    ranges: limitedRanges(limited, now),
    numbers: {
      count: numberLists.entries.length,
      shown: numberLists.entries
        .slice(0, mostNumbers)
        .map(({ list, shown, app, until }) => ({ list, shown, app, until })),
    },
    unreadableNumbers: numberLists.unreadable,
  };
  return { ...facts, alarms: alarmsOf({ ...facts, unread, slots, memory, webhooks }) };
}

/** The latest balance with its outlook, alarms and curve; null before the first one. */
async function balanceOf({ balance }: ApiDependencies['store'], now: number) {
  const span = { since: now - balanceDays * dayMs, until: now + minuteMs, points: mostPoints };
  const [latest, outlook, curve] = await Promise.all([
    balance.latest(),
    balance.outlook(),
    balance.curve(span),
  ]);
  const points = curve.map(({ at, credits }) => ({ at, credits }));
  return latest && { ...latest, ...outlook, ...balance.alarms(latest), curve: points };
}

/** Each app with its budgets, what was sent and verified lately and, if an operator paused it, since when. */
async function appsOf({ appPauses, budgets, conversion }: ApiDependencies['store'], known: readonly App[]) {
  const [pauses, used, lately] = await Promise.all([
    appPauses.read(),
    budgets.read(known),
    conversion.lately(),
  ]);
  const names = new Set([...known.map(({ name }) => name), ...pauses.keys()]);
  return [...names].sort().map((app) => {
    const counts = lately.filter((one) => one.app === app);
    const sumOf = (count: 'sent' | 'judged' | 'verified') => counts.reduce((sum, one) => sum + one[count], 0);
    return {
      app,
      pausedAt: pauses.get(app) ?? null,
      budgets: used.filter((budget) => budget.app === app),
      sentInTenMinutes: sumOf('sent'),
      conversion: sumOf('judged') === 0 ? null : sumOf('verified') / sumOf('judged'),
    };
  });
}

/** Ranges that the guard limits now, or would limit; those with the most refusals first. */
function limitedRanges(limited: readonly LimitedRange[], now: number) {
  return limited
    .flatMap(({ app, range, refused, wouldRefuse, blockedUntil, slowUntil, cappedUntil }) => {
      const limits = [
        { limit: 'blocked', until: blockedUntil },
        { limit: 'slowed', until: slowUntil },
        { limit: 'capped', until: cappedUntil },
      ] as const;
      const limit = limits.find(({ until }) => until > now);
      return limit ? [{ app, range: shownRange(range), ...limit, refused, wouldRefuse }] : [];
    })
    .sort((a, b) => b.refused + b.wouldRefuse - a.refused - a.wouldRefuse);
}

/** Combines slots into points of the charts. Null where nothing is known, so that a chart leaves a gap. */
function pointsOf(slots: readonly StatsSlot[], perPoint: number, now: number) {
  const conversions = conversionsOf(slots, now);
  const points = [];
  for (let i = 0; i < slots.length; i += perPoint) {
    const some = slots.slice(i, i + perPoint);
    const sum = (name: string) => some.reduce((total, { values }) => total + (values[name] ?? 0), 0);
    const seen = some.map(({ values }) => values['waiting']).filter((count) => count !== undefined);
    const waited = numbered(some, 'waited');
    const at = some[0]?.at ?? 0;
    points.push({
      at,
      // The last point is still running, and the counts of other processes come a moment later.
      minutes: Math.max(1 / 2, Math.min(some.length * slotMs, now - at - writtenWithinMs) / minuteMs),
      accepted: sum('accepted'),
      rejected: sum('rejected'),
      sent: sum('sent'),
      failed: sum('failed'),
      unknown: sum('unknown'),
      /** When they were verified. */
      verified: numbered(some, 'verified').reduce((total, [, count]) => total + count, 0),
      /** OTPs sent then whose codes can no longer be entered, and how many of these were verified. */
      conversion: conversions
        .slice(i, i + perPoint)
        .reduce((a, b) => ({ sent: a.sent + b.sent, verified: a.verified + b.verified })),
      waiting: seen.length === 0 ? null : Math.max(...seen),
      waitedP50: quantile(waited, 0.5),
      waitedP95: quantile(waited, 0.95),
    });
  }
  return points;
}

/** For each slot, the OTPs sent in it and how many were verified later; 0 while their codes can still be entered. */
function conversionsOf(slots: readonly StatsSlot[], now: number) {
  const verified = slots.map(() => 0);
  for (const [i, slot] of slots.entries()) {
    for (const [slotsAgo, count] of numbered([slot], 'verified')) {
      const sentIn = i - slotsAgo;
      if (sentIn >= 0) verified[sentIn] = (verified[sentIn] ?? 0) + count;
    }
  }
  return slots.map(({ at, values }, i) => {
    if (at + slotMs + longestTtlMs + writtenWithinMs > now) return { sent: 0, verified: 0 };
    return { sent: values['sent'] ?? 0, verified: verified[i] ?? 0 };
  });
}

/** Counts named `name:<number>`, by that number in ascending order; `name:` counts as infinite. */
function numbered(slots: readonly StatsSlot[], name: string): [number, number][] {
  const counts = new Map<number, number>();
  for (const { values } of slots) {
    for (const [field, count] of Object.entries(values)) {
      const [prefix, number = ''] = field.split(':');
      if (prefix !== name) continue;
      const key = number === '' ? Number.POSITIVE_INFINITY : Number(number);
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/** Stands for "over an hour", the last bucket of send times: a point of a chart needs a place. */
const overAnHourSeconds = 7_200;

/** The bucket limit in seconds that this share of send times stayed within; null without any. */
function quantile(waits: readonly [number, number][], share: number): number | null {
  const total = waits.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [limit, count] of waits) {
    seen += count;
    if (seen >= total * share) return Number.isFinite(limit) ? limit : overAnHourSeconds;
  }
  return null;
}
