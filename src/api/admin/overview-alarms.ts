import { hourMs, minuteMs } from '../../lib/time.js';
import type { BudgetPeriod } from '../../otp/budget.js';
import { type AccountTrouble, troubleTexts } from '../../otp/outcome.js';
import type { AppHold } from '../../store/app-holds.js';
import type { BalanceSnapshot } from '../../store/balance.js';
import type { ConversionAlarm } from '../../store/conversion.js';
import { unreadableEntries } from '../../store/number-lists.js';
import type { StatsSlot } from '../../store/stats.js';

/** Facts that alarms follow from. */
interface AlarmFacts {
  now: number;
  /** What could not be read, and is empty or null here. */
  unread: readonly string[];
  slots: readonly StatsSlot[];
  waiting: { longestMs: number };
  paused: AccountTrouble | 'operator' | null;
  holds: readonly Pick<AppHold, 'app' | 'since' | 'text'>[];
  balance: (BalanceSnapshot & { low: boolean; expiring: boolean }) | null;
  /** Used share of Redis's memory. */
  memory: number;
  webhooks: { dead: number } | null;
  ranges: readonly { limit: 'blocked' | 'slowed' | 'capped'; refused: number }[];
  guardEnforces: boolean;
  /** Entries of the allow and deny lists that no encryption key opens. */
  unreadableNumbers: number;
  lowConversions: readonly ConversionAlarm[];
  apps: readonly {
    app: string;
    pausedAt: number | null;
    budgets: readonly { period: BudgetPeriod; used: number; limit: number }[];
  }[];
}

const longWaitMs = 30_000;
const nearlyFull = 0.8;
/** As in deploy/prometheus/alerts.yml. */
const oldBalanceMs = hourMs;
const [mostBadShare, leastBad] = [0.1, 10];
/** Two, since the newest slot may have just begun. */
const newestSlots = 2;
/** As in deploy/prometheus/alerts.yml. */
const lowBudget = 0.8;
/** Price of the shortest message. A balance below it is account trouble. */
const leastCredits = 1;

/** Everything that needs an operator, critical problems first. */
export function alarmsOf(facts: AlarmFacts): { level: 'critical' | 'warning'; text: string }[] {
  const critical = [
    ...sendingAlarms(facts),
    ...budgetAlarms(facts, 1),
    ...conversionAlarms(facts),
    ...numberAlarms(facts),
  ];
  const warnings = [
    ...unreadAlarms(facts),
    ...pausedApps(facts),
    ...budgetAlarms(facts, lowBudget),
    ...balanceAlarms(facts),
    ...rangeAlarms(facts),
    ...webhookAlarms(facts),
  ];
  return [
    ...critical.map((text) => ({ level: 'critical', text }) as const),
    ...warnings.map((text) => ({ level: 'warning', text }) as const),
  ];
}

function sendingAlarms({ now, slots, waiting, paused, holds, balance, memory }: AlarmFacts): string[] {
  const newest = slots.slice(-newestSlots);
  const sum = (name: string) => newest.reduce((total, { values }) => total + (values[name] ?? 0), 0);
  const bad = sum('failed') + sum('unknown');
  const badShare = bad / (bad + sum('sent'));
  const waitedSeconds = Math.round(waiting.longestMs / 1_000);
  const texts = holds.map((hold) => holdText(hold, now));
  if (paused) texts.unshift(pauseText(paused, { balance, now }));
  if (!paused && waiting.longestMs > longWaitMs)
    texts.push(
      `An OTP has waited ${waitedSeconds} s for a worker. Check the number of workers and the speed of iSMS.`,
    );
  if (memory > nearlyFull)
    texts.push(`Redis uses ${percent(memory)} of its memory; from 90 % on, new OTPs are rejected.`);
  if (bad >= leastBad && badShare > mostBadShare)
    texts.push(`${percent(badShare)} of the newest OTPs failed or are unknown. Check iSMS.`);
  return texts;
}

function pauseText(
  reason: NonNullable<AlarmFacts['paused']>,
  { balance, now }: Pick<AlarmFacts, 'balance' | 'now'>,
): string {
  if (reason === 'operator') return 'Sending is paused by an operator. Resume the queue in Bull Board.';
  const { cause, advice } = troubleTexts[reason];
  if (reason !== 'insufficient_credits' || (balance && balance.credits < leastCredits))
    return `Sending is paused: ${cause}. ${advice}`;
  const last = balance
    ? `, though the balance was ${count(balance.credits)} credits ${age(now - balance.at)} ago`
    : '';
  return `Sending is paused: iSMS refuses OTPs for lack of credits${last}. Check the iSMS account; one OTP at a time is tried until iSMS accepts one.`;
}

/** The quoted words are the provider's, and safe to show. */
function holdText({ app, since, text }: Pick<AppHold, 'app' | 'since' | 'text'>, now: number): string {
  const words = text ? `with an unrecognised text: "${text}"` : 'without a reason';
  return `OTPs of ${app} have been on hold for ${age(now - since)}: iSMS refuses them ${words}. Check the iSMS account and the app's numbers.`;
}

function unreadAlarms({ unread }: AlarmFacts): string[] {
  if (unread.length === 0) return [];
  const parts = new Intl.ListFormat('en').format([...unread].sort());
  return [`Could not be read, so missing here: ${parts}. Check Redis.`];
}

function pausedApps({ apps, now }: AlarmFacts): string[] {
  return apps.flatMap(({ app, pausedAt }) =>
    pausedAt === null
      ? []
      : [`${app} was paused by an operator ${age(now - pausedAt)} ago: OTPs wait, new ones are rejected.`],
  );
}

/** Budgets of which this share is used: all, or enough for a warning. */
function budgetAlarms({ apps }: AlarmFacts, from: 1 | typeof lowBudget): string[] {
  return apps.flatMap(({ app, budgets }) =>
    budgets
      .filter(({ used, limit }) => used / limit >= from && (from === 1 || used < limit))
      .map(({ period, used, limit }) => {
        const credits = `${count(used)} of ${count(limit)} credits for this ${period}`;
        return `${app} has used ${credits}${from === 1 ? ': its OTPs are rejected' : ''}.`;
      }),
  );
}

function conversionAlarms({ lowConversions }: AlarmFacts): string[] {
  return lowConversions.map(
    ({ app, country, sent, verified }) =>
      `Only ${count(verified)} of ${count(sent)} codes of ${app} to ${country} were verified. Check for SMS pumping and delivery problems.`,
  );
}

function balanceAlarms({ balance, now, unread }: AlarmFacts): string[] {
  if (!balance) return unread.includes('balance') ? [] : ['The balance has not been read yet.'];
  const texts = [];
  const readAgo = now - balance.at;
  if (readAgo > oldBalanceMs)
    texts.push(`The balance was last read ${age(readAgo)} ago. Check that a worker runs.`);
  if (balance.low) texts.push(`Only ${count(balance.credits)} credits are left.`);
  if (balance.expiring) texts.push(`The credits expire on ${balance.expiresOn} and are forfeited then.`);
  return texts;
}

function numberAlarms({ unreadableNumbers }: AlarmFacts): string[] {
  return unreadableNumbers === 0 ? [] : [unreadableEntries(unreadableNumbers)];
}

function rangeAlarms({ ranges, guardEnforces }: AlarmFacts): string[] {
  const capped = ranges.filter(({ limit }) => limit === 'capped');
  const pumped = ranges.filter(({ limit }) => limit !== 'capped');
  const textOf = (some: typeof ranges, why: string) => {
    if (some.length === 0) return [];
    const them = some.length === 1 ? '1 number range' : `${count(some.length)} number ranges`;
    const refused = some.reduce((sum, range) => sum + range.refused, 0);
    return guardEnforces
      ? [`The toll-fraud guard rejects OTPs to ${them}, ${count(refused)} so far: ${why}.`]
      : [`FRAUD_GUARD=enforce would reject OTPs to ${them}: ${why}.`];
  };
  return [
    ...textOf(pumped, 'too few of the codes are verified'),
    ...textOf(capped, 'as many codes as allowed wait to be verified'),
  ];
}

function webhookAlarms({ webhooks }: AlarmFacts): string[] {
  if (!webhooks || webhooks.dead === 0) return [];
  return [
    `${count(webhooks.dead)} events could not be delivered. \`isms-otp webhooks redeliver\` tries them again.`,
  ];
}

const count = (number: number) => number.toLocaleString('en', { maximumFractionDigits: 1 });
const percent = (share: number) => `${Math.round(share * 100)} %`;

function age(ms: number): string {
  if (ms < 2 * minuteMs) return `${Math.max(0, Math.round(ms / 1_000))} s`;
  return ms < 2 * hourMs ? `${Math.round(ms / minuteMs)} min` : `${Math.round(ms / hourMs)} h`;
}
