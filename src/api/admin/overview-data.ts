import type { RequestSettings } from '../../producer/settings.js';
import type { SendOtpQueue } from '../../queues/send-otp.js';
import type { WebhookQueue } from '../../queues/webhook.js';
import type { AppHold } from '../../store/app-holds.js';
import type { ConversionAlarm } from '../../store/conversion.js';
import { type JudgedRange, shownRange } from '../../store/number-ranges.js';
import { type StatsSlot, statsSlotMs } from '../../store/stats.js';
import type { Store } from '../../store/store.js';

/** What the overview is made from. */
export interface OverviewDependencies {
  store: Pick<Store, 'stats' | 'balance' | 'sendingPause' | 'appHolds' | 'ranges' | 'conversion' | 'load'>;
  sendOtpQueue: Pick<SendOtpQueue, 'backlog' | 'waitingSince'>;
  webhookQueue: Pick<WebhookQueue, 'counts'> | null;
  settings: Pick<RequestSettings, 'fraudGuardEnforces'>;
}

/** Spans that can be shown, in hours, and how many slots of five minutes are one point of their charts. */
export const overviewSpans = { 6: 1, 24: 3, 168: 24 } as const;
export type OverviewHours = keyof typeof overviewSpans;

/** Something that an operator should do something about. */
export interface Alarm {
  level: 'critical' | 'warning';
  text: string;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** The curve of the balance shows this much of its past. */
const balanceDays = 30;
/** Of the balance's curve: more would not be seen. */
const mostPoints = 200;
const longWaitMs = 30_000;
const writtenWithinMs = 5_000;
const nearlyFull = 0.8;
/** As the alerts of Prometheus have it (deploy/prometheus/alerts.yml). */
const oldBalanceMs = hourMs;
const [mostBadShare, leastBad] = [0.1, 10];
/** The newest two: one alone may have just begun. */
const pointsOfLately = 2;

/** Everything the overview shows, read in one go. */
export async function overviewOf(
  { store, sendOtpQueue, webhookQueue, settings }: OverviewDependencies,
  hours: OverviewHours,
) {
  const now = Date.now();
  const [
    slots,
    backlog,
    since,
    paused,
    holds,
    memory,
    latest,
    outlook,
    curve,
    ranges,
    webhooks,
    lowConversions,
  ] = await Promise.all([
    store.stats.read(now - hours * hourMs),
    sendOtpQueue.backlog(),
    sendOtpQueue.waitingSince(),
    store.sendingPause.reason(),
    store.appHolds.read().catch(() => []),
    store.load.memory(),
    store.balance.latest(),
    store.balance.outlook(),
    store.balance.curve({ since: now - balanceDays * dayMs, until: now + minuteMs, points: mostPoints }),
    store.ranges.judged(),
    webhookQueue?.counts() ?? null,
    store.conversion.alarms(),
  ]);
  const alarms = latest ? store.balance.alarms(latest) : null;
  const waitedMs = since.single === null ? 0 : Math.max(0, now - since.single);
  const facts = {
    now,
    hours,
    points: pointsOf(slots, overviewSpans[hours], now),
    waiting: { single: backlog.single + backlog.delayed, bulk: backlog.bulk, longestMs: waitedMs },
    paused,
    holds,
    balance: latest && {
      ...latest,
      ...outlook,
      ...alarms,
      curve: curve.map(({ at, credits }) => ({ at, credits })),
    },
    lowConversions,
    /** Whether the guard refuses, or only watches. */
    guardEnforces: settings.fraudGuardEnforces,
    ranges: ranges
      .filter((range) => Math.max(range.slowUntil, range.blockedUntil, range.cappedUntil) > now)
      .map(({ range, ...range_ }) => ({ ...range_, range: shownRange(range) })),
  };
  return { ...facts, alarms: alarmsOf({ ...facts, memory, webhooks }) };
}

export type Overview = Awaited<ReturnType<typeof overviewOf>>;

/** Several slots as one point; what nothing is known of is null, so that a chart leaves a gap. */
function pointsOf(slots: readonly StatsSlot[], perPoint: number, now: number) {
  const points = [];
  for (let i = 0; i < slots.length; i += perPoint) {
    const some = slots.slice(i, i + perPoint);
    const sum = (name: string) => some.reduce((total, { values }) => total + (values[name] ?? 0), 0);
    const seen = some.map(({ values }) => values['waiting']).filter((count) => count !== undefined);
    const waited = waitsOf(some);
    const at = some[0]?.at ?? 0;
    points.push({
      at,
      // The last one is not over yet, and what processes counted comes a moment later.
      minutes: Math.max(1 / 2, Math.min(some.length * statsSlotMs, now - at - writtenWithinMs) / minuteMs),
      accepted: sum('accepted'),
      refused: sum('refused'),
      sent: sum('sent'),
      failed: sum('failed'),
      unknown: sum('unknown'),
      verified: sum('verified'),
      waiting: seen.length === 0 ? null : Math.max(...seen),
      waitedP50: quantile(waited, 0.5),
      waitedP95: quantile(waited, 0.95),
    });
  }
  return points;
}

/** How many waited at most so many seconds, by that limit; the last one has none. */
function waitsOf(slots: readonly StatsSlot[]): [number, number][] {
  const counts = new Map<number, number>();
  for (const { values } of slots) {
    for (const [name, count] of Object.entries(values)) {
      const limit = /^waited:(.*)$/.exec(name)?.[1];
      if (limit === undefined) continue;
      const seconds = limit === '' ? Number.POSITIVE_INFINITY : Number(limit);
      counts.set(seconds, (counts.get(seconds) ?? 0) + count);
    }
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/** Stands for more than an hour, the last limit that is counted by: a point of a chart must lie somewhere. */
const overAnHourSeconds = 7_200;

/** The limit that this share stayed within; null when nobody waited. */
function quantile(waits: readonly [number, number][], share: number): number | null {
  const total = waits.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [limit, count] of waits) {
    seen += count;
    if (seen >= total * share) return Number.isFinite(limit) ? limit : overAnHourSeconds;
  }
  return null;
}

const pauseTexts: Record<string, string> = {
  operator: 'Sending is paused by an operator, in Bull Board.',
  insufficient_credits: 'Sending is paused: the iSMS account is out of credits. Top it up.',
  authentication_failed: 'Sending is paused: iSMS refuses the password of the account.',
  account_suspended: 'Sending is paused: iSMS has suspended the account.',
  ip_not_allowed: "Sending is paused: this address is not on iSMS's list.",
};

/** The words are the provider's, and safe to show. */
function holdText({ app, text }: Pick<AppHold, 'app' | 'text'>): string {
  const words = text ? `in words that the gateway does not know: "${text}"` : 'without saying why';
  return `Sending is paused for ${app}: iSMS refuses its OTPs one after the other ${words}. Look at the account and at the numbers. One OTP at a time is tried until iSMS accepts one.`;
}

function alarmsOf(facts: {
  waiting: { longestMs: number };
  paused: string | null;
  holds: readonly Pick<AppHold, 'app' | 'text'>[];
  points: readonly { sent: number; failed: number; unknown: number }[];
  now: number;
  balance: {
    at: number;
    credits: number;
    low?: boolean;
    expiring?: boolean;
    expiresOn: string | null;
  } | null;
  memory: number;
  webhooks: { dead: number } | null;
  ranges: readonly Pick<JudgedRange, 'slowUntil' | 'blockedUntil'>[];
  guardEnforces: boolean;
  lowConversions: readonly ConversionAlarm[];
}): Alarm[] {
  const { waiting, paused, holds, balance, memory, webhooks, points, now } = facts;
  const lately = points.slice(-pointsOfLately);
  const sum = (name: 'sent' | 'failed' | 'unknown') =>
    lately.reduce((total, point) => total + point[name], 0);
  const bad = sum('failed') + sum('unknown');
  const badShare = bad / (bad + sum('sent'));
  const critical = (text: string): Alarm => ({ level: 'critical', text });
  const warning = (text: string): Alarm => ({ level: 'warning', text });
  const seconds = Math.round(waiting.longestMs / 1_000);
  return [
    paused ? [critical(pauseTexts[paused] ?? 'Sending is paused.')] : [],
    holds.map((hold) => critical(holdText(hold))),
    !paused && waiting.longestMs > longWaitMs
      ? [
          critical(
            `An OTP has waited ${seconds} s for a worker. Do workers run, and enough of them? Is iSMS ill?`,
          ),
        ]
      : [],
    memory > nearlyFull
      ? [critical(`Redis uses ${Math.round(memory * 100)} % of its memory; at 90 % OTPs are refused.`)]
      : [],
    bad >= leastBad && badShare > mostBadShare
      ? [critical(`${Math.round(badShare * 100)} % of the newest OTPs failed or are unknown. Is iSMS ill?`)]
      : [],
    facts.lowConversions.map(({ app, country, sent, verified }) =>
      critical(
        `Only ${shown(verified)} of ${shown(sent)} codes of ${app} to ${country} were verified. Are SMS pumped, or do they not arrive?`,
      ),
    ),
    !balance ? [warning('The balance has not been read yet.')] : [],
    balance && now - balance.at > oldBalanceMs
      ? [warning(`The balance was last read at ${new Date(balance.at).toISOString()}. Does a worker run?`)]
      : [],
    balance?.low ? [warning(`Only ${balance.credits} credits are left.`)] : [],
    balance?.expiring ? [warning(`The credits expire on ${balance.expiresOn}, and are forfeited then.`)] : [],
    rangeTexts(facts).map(warning),
    webhooks && webhooks.dead > 0
      ? [warning(`${webhooks.dead} events could not be delivered; isms-otp resend-webhooks tries again.`)]
      : [],
  ].flat();
}

const shown = (count: number) => count.toLocaleString('en');

/** What there is to say about ranges that the guard slows, blocks or caps. */
function rangeTexts({ ranges, guardEnforces, now }: Parameters<typeof alarmsOf>[0]): string[] {
  const pumped = ranges.filter(
    ({ slowUntil, blockedUntil }) => Math.max(slowUntil, blockedUntil) > now,
  ).length;
  const capped = ranges.length - pumped;
  const does = (refuses: string, wouldRefuse: string) =>
    guardEnforces
      ? `${refuses} refused; see below.`
      : `FRAUD_GUARD=enforce would refuse ${wouldRefuse}; see below.`;
  const looks = pumped === 1 ? '1 number range looks' : `${pumped} number ranges look`;
  const has = capped === 1 ? '1 number range has' : `${capped} number ranges have`;
  return [
    ...(pumped > 0
      ? [`${looks} pumped: too few of the codes are verified. ${does('OTPs are', 'OTPs')}`]
      : []),
    ...(capped > 0
      ? [`${has} as many unverified codes as allowed. ${does('Further OTPs are', 'further OTPs')}`]
      : []),
  ];
}
