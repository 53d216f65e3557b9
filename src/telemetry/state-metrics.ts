import type { Gauge } from 'prom-client';
import { withTimeout } from '../lib/with-timeout.js';

/** The state that all processes share. Times are ms since 1970; null: not known, or none. */
export interface GatewayState {
  /** Jobs that wait for a worker, and since when the next one does. */
  waiting: { lane: 'single' | 'bulk'; jobs: number; since: number | null }[];
  /** Events that wait to be delivered, by state; null where there is no webhook. */
  webhooks: { waiting: number; retrying: number; dead: number } | null;
  /** Whether sending is paused, by each reason that there can be, so that an alert sees 0 before it sees 1. */
  paused: Record<string, boolean>;
  /** Apps on hold for an unrecognised refusal, with its text. */
  holds: { app: string; text: string }[];
  /** The share of Redis's `maxmemory` in use; 0 where there is no limit. */
  memory: number;
  balance: BalanceState | null;
  /** Apps and countries with few verified OTPs. */
  lowConversions: { app: string; country: string }[];
}

interface BalanceState {
  credits: number;
  checkedAt: number;
  expiresAt: number | null;
  runsOutAt: number | null;
  /** Whether each alarm is on, by the gateway's own limits. */
  alarms: Record<string, boolean>;
}

type MakeGauge = <L extends string>(name: string, help: string, ...labelNames: L[]) => Gauge<L>;

/** Deadline for Redis at a scrape. */
const readWithinMs = 2_000;
/** Gauges of the shared state. Returns the function that reads it anew; without Redis only `isms_otp_redis_up` is set. */
export function createStateMetrics(gauge: MakeGauge) {
  const readable = gauge('isms_otp_redis_up', '1 when the shared state could be read from Redis');
  const jobs = gauge('isms_otp_queue_jobs', 'OTPs that wait for a worker', 'lane');
  const age = gauge(
    'isms_otp_queue_oldest_age_seconds',
    'For how long the OTP that comes next has waited; 0 when none waits',
    'lane',
  );
  const webhooks = gauge(
    'isms_otp_webhook_jobs',
    'Events to deliver: waiting, retrying after a failed attempt, or dead after the last attempt',
    'state',
  );
  const paused = gauge('isms_otp_sending_paused', '1 while nothing is sent, for this reason', 'reason');
  const refusal = gauge(
    'isms_otp_sending_refusal_info',
    '1 while sending is paused for an app, for a refusal that the gateway does not know, with its text',
    'app',
    'text',
  );
  const lowConversion = gauge(
    'isms_otp_conversion_low',
    '1 while hardly any OTPs of an app to a country are verified, as when SMS are pumped',
    'app',
    'country',
  );
  const memory = gauge(
    'isms_otp_redis_memory_ratio',
    'Share of maxmemory in use, of a cluster by its fullest master; 0 without a limit',
  );
  const alarms = gauge('isms_balance_alarm', '1 while the balance is low, or expiring', 'alarm');
  const credits = gauge('isms_balance_credits', 'Credits of the iSMS account at the latest snapshot');
  const checkedAt = gauge('isms_balance_checked_timestamp_seconds', 'When the latest snapshot was taken');
  const expiresAt = gauge('isms_balance_expiry_timestamp_seconds', 'When the credits expire');
  const runsOutAt = gauge(
    'isms_balance_empty_timestamp_seconds',
    'When the credits run out at the rate of the last 7 days',
  );
  const forget = () => {
    for (const each of [jobs, age, webhooks, paused, refusal, alarms, lowConversion]) each.reset();
    // Without labels, a reset would say 0.
    for (const each of [memory, credits, checkedAt, expiresAt, runsOutAt]) each.remove();
  };
  forget();
  const setMoment = (target: Gauge, ms: number | null) => {
    if (ms !== null) target.set(ms / 1_000);
  };
  const set = (state: GatewayState) => {
    const now = Date.now();
    for (const { lane, jobs: count, since } of state.waiting) {
      jobs.set({ lane }, count);
      age.set({ lane }, since === null ? 0 : Math.max(0, now - since) / 1_000);
    }
    for (const [name, count] of Object.entries(state.webhooks ?? {})) webhooks.set({ state: name }, count);
    const reasons = { ...state.paused, ...(state.holds.length > 0 && { unrecognised_refusal: true }) };
    for (const [reason, on] of Object.entries(reasons)) paused.set({ reason }, on ? 1 : 0);
    for (const { app, text } of state.holds) refusal.set({ app, text }, 1);
    memory.set(state.memory);
    for (const { app, country } of state.lowConversions) lowConversion.set({ app, country }, 1);
    if (!state.balance) return;
    for (const [alarm, on] of Object.entries(state.balance.alarms)) alarms.set({ alarm }, on ? 1 : 0);
    credits.set(state.balance.credits);
    setMoment(checkedAt, state.balance.checkedAt);
    setMoment(expiresAt, state.balance.expiresAt);
    setMoment(runsOutAt, state.balance.runsOutAt);
  };
  let refreshing: Promise<void> | null = null;
  const refresh = async (read: () => Promise<GatewayState>) => {
    const state = await withTimeout(read(), readWithinMs).catch(() => null);
    forget();
    readable.set(state ? 1 : 0);
    if (state) set(state);
  };
  // Simultaneous scrapes share one read.
  return (read: () => Promise<GatewayState>): Promise<void> => {
    refreshing ??= refresh(read).finally(() => {
      refreshing = null;
    });
    return refreshing;
  };
}
