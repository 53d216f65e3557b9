import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client';
import { shared } from '../lib/memoize.js';
import { type CountedOtp, createAppTally, createTally, slotMs, verifyBucket } from '../lib/tally.js';
import { withTimeout } from '../lib/with-timeout.js';

/** Seconds. A code that takes longer than half a minute has lost its person; bulk may wait for its hour. */
const waitBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600];
/** Seconds. A send is given 30, as the vendor's own sample does. */
const callBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30];
/** Seconds. The longest `Prefer: wait` is 30. */
const requestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const circuitStates = ['closed', 'half_open', 'open'] as const;

/** Counts of this process; also reports shared state. */
export type Metrics = ReturnType<typeof createMetrics>;

/** The metrics of one process. Names and units follow https://prometheus.io/docs/practices/naming/. */
export function createMetrics(version: string) {
  const register = new Registry();
  const registers = [register];
  // Quantiles without a window: the library moves one on in steps, which after a jump of the clock blocks the process.
  const ofEventLoop = { eventLoopUtilizationMaxAgeSeconds: 0, eventLoopUtilizationAgeBuckets: 1 };
  collectDefaultMetrics({ register, ...ofEventLoop, eventLoopUtilizationTimeout: 1_000 });
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, buckets: number[], ...labelNames: L[]) =>
    new Histogram({ name, help, buckets, labelNames, registers });

  gauge('isms_otp_build_info', 'Version of the gateway; always 1', 'version').set({ version }, 1);
  const requests = histogram(
    'isms_otp_http_request_duration_seconds',
    'Requests answered by the API, by the route as documented; none: no route matched',
    requestBuckets,
    'method',
    'route',
    'status',
  );
  const accepted = counter('isms_otp_accepted_total', 'OTPs accepted', 'app', 'lane');
  const rejected = counter('isms_otp_rejected_total', 'OTPs rejected, by code', 'app', 'lane', 'code');
  const sent = counter('isms_otp_sent_total', 'OTPs that iSMS accepted', 'app', 'country', 'lane');
  const waited = histogram(
    'isms_otp_time_to_send_seconds',
    'From the acceptance of an OTP until iSMS accepted it',
    waitBuckets,
    'lane',
  );
  const failed = counter('isms_otp_failed_total', 'OTPs that ended without an SMS', 'app', 'code');
  const credits = counter('isms_otp_credits_total', 'Credits of OTPs that iSMS accepted', 'app', 'country');
  const unknown = counter('isms_otp_unknown_total', 'OTPs that ended without a known outcome', 'app');
  const retries = counter('isms_otp_retries_total', 'Calls proven unsent that are made again', 'reason');
  const resends = counter('isms_otp_resends_total', 'Calls that may send an SMS a second time', 'app');
  const unrecognised = counter(
    'isms_otp_unrecognised_refusals_total',
    'Calls that iSMS refused with an unrecognised text',
    'call',
  );
  const deliveries = counter(
    'isms_otp_webhook_deliveries_total',
    'Attempts to deliver an event to the webhook',
    'event',
    'outcome',
  );
  const verifications = counter(
    'isms_otp_verifications_total',
    'Verification requests: verified, or the problem code',
    'app',
    'result',
  );
  const verified = counter('isms_otp_verified_total', 'OTPs verified', 'app', 'country');
  const calls = histogram(
    'isms_request_duration_seconds',
    'Calls to iSMS, by what became of them',
    callBuckets,
    'call',
    'outcome',
  );
  const hostFailures = counter(
    'isms_host_connection_failures_total',
    'Failed connections to a host of iSMS, where several are configured',
    'host',
  );
  const circuits = gauge('isms_circuit_state', '1 for the state a circuit breaker is in', 'circuit', 'state');
  const tally = createTally();
  /** Counts for an app's statistics what Prometheus counts, with the labels that only the former has. */
  const appTally = createAppTally();
  const count = appTally.add;
  const refreshState = createStateMetrics(gauge);
  let readState: (() => Promise<GatewayState>) | null = null;
  /** Simultaneous scrapes share one read. */
  const refresh = shared(async () => {
    if (readState) await refreshState(readState);
  });

  return {
    request: ({ method, route, status, seconds }: RequestFacts) =>
      requests.observe({ method, route: route ?? 'none', status: String(status) }, seconds),
    accepted: (app: string, lane: string, otps: readonly CountedOtp[]) => {
      accepted.inc({ app, lane }, otps.length);
      tally.add('accepted', otps.length);
      for (const otp of otps) count(otp, 'accepted');
    },
    rejected: (
      app: string,
      lane: string,
      { code, request }: { code: string; request: CountedOtp | null },
    ) => {
      rejected.inc({ app, lane, code });
      tally.add('rejected');
      count(request ?? { app, purpose: null, template: null }, `rejected:${code}`);
    },
    sent: (otp: SentOtp, lane: string) => {
      const { app, createdAt, sentAt } = otp;
      const { country } = otp.to;
      const at = sentAt ?? Date.now();
      sent.inc({ app, country, lane });
      credits.inc({ app, country }, otp.credits);
      tally.add('sent');
      count(otp, 'sent', { at });
      count(otp, 'credits', { at, by: otp.credits });
      // It was cancelled meanwhile.
      if (sentAt === null) return;
      const waitedSeconds = (sentAt - createdAt) / 1_000;
      waited.observe({ lane }, waitedSeconds);
      if (lane === 'single') tally.add(`waited:${waitBuckets.find((limit) => waitedSeconds <= limit) ?? ''}`);
    },
    failed: (otp: CountedOtp, code: string) => {
      failed.inc({ app: otp.app, code });
      tally.add('failed');
      count(otp, `failed:${code}`);
    },
    unknown: (otp: CountedOtp) => {
      unknown.inc({ app: otp.app });
      tally.add('unknown');
      count(otp, 'unknown');
    },
    retried: (reason: string) => retries.inc({ reason }),
    resent: (app: string) => resends.inc({ app }),
    unrecognised: (call: 'send' | 'verify') => unrecognised.inc({ call }),
    delivered: (event: string, ok: boolean) =>
      deliveries.inc({ event, outcome: ok ? 'delivered' : 'failed' }),
    verification: (app: string, result: string) => verifications.inc({ app, result }),
    /** Counted by when it was sent, so that conversion is that of the OTPs sent at a time. */
    verified: (otp: VerifiedOtp) => {
      const { app, to, sentAt, verifiedAt } = otp;
      const at = sentAt ?? Date.now();
      verified.inc({ app, country: to.country });
      const slotsAgo = Math.max(0, Math.floor(Date.now() / slotMs) - Math.floor(at / slotMs));
      tally.add(`verified:${slotsAgo}`);
      count(otp, 'verified', { at });
      count(otp, `verified_in:${verifyBucket(((verifiedAt ?? at) - at) / 1_000)}`, { at });
    },
    /** The same counts, for the overview page. */
    tally,
    /** The same counts, for the statistics of apps, by `countName`. */
    appTally,
    /** A call to iSMS that is over. */
    call: (call: string, outcome: string, seconds: number) => calls.observe({ call, outcome }, seconds),
    hostFailed: (host: string) => hostFailures.inc({ host }),
    circuit: (circuit: string, now: (typeof circuitStates)[number]) => {
      for (const state of circuitStates) circuits.set({ circuit, state }, state === now ? 1 : 0);
    },
    /** Sets the function that reads the shared state at each scrape. */
    observe: (read: () => Promise<GatewayState>) => {
      readState = read;
    },
    /** Everything, as Prometheus reads it. What cannot be read of the shared state is left out. */
    exposition: async () => {
      await refresh();
      return { contentType: register.contentType, text: await register.metrics() };
    },
  };
}

interface RequestFacts {
  method: string;
  route: string | null;
  status: number;
  seconds: number;
}

interface SentOtp extends CountedOtp {
  to: { country: string };
  credits: number;
  createdAt: number;
  sentAt: number | null;
}

type VerifiedOtp = Omit<SentOtp, 'credits' | 'createdAt'> & { verifiedAt: number | null };

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
  /** Apps that an operator paused. */
  pausedApps: string[];
  /** The used share of each app's budget. */
  budgets: { app: string; period: string; share: number }[];
  /** The share of Redis's `maxmemory` in use; 0 where there is no limit. */
  memory: number;
  balance: {
    credits: number;
    checkedAt: number;
    expiresAt: number | null;
    runsOutAt: number | null;
    /** Whether each alarm is on, by the gateway's own limits. */
    alarms: Record<string, boolean>;
  } | null;
  /** OTPs that wait in batches; each app and reason once. */
  inBatches: { app: string; reason: string; otps: number }[];
  /** Apps and countries with few verified OTPs. */
  lowConversions: { app: string; country: string }[];
}

type MakeGauge = <L extends string>(name: string, help: string, ...labelNames: L[]) => Gauge<L>;

/** Deadline for Redis at a scrape. */
const readWithinMs = 2_000;
/** Gauges of the shared state. Returns the function that reads it anew; without Redis only `isms_otp_redis_up` is set. */
function createStateMetrics(gauge: MakeGauge) {
  const readable = gauge('isms_otp_redis_up', '1 when the shared state could be read from Redis');
  const jobs = gauge('isms_otp_queue_jobs', 'OTPs that wait for a worker', 'lane');
  const age = gauge(
    'isms_otp_queue_oldest_age_seconds',
    'For how long the OTP that comes next has waited; 0 when none waits',
    'lane',
  );
  const inBatches = gauge(
    'isms_otp_batch_waiting',
    'OTPs that wait in batches, by what they wait for; turn: nothing else',
    'app',
    'reason',
  );
  const webhooks = gauge(
    'isms_otp_webhook_jobs',
    'Events to deliver: waiting, retrying (or put off: busy receiver), or dead after the last attempt',
    'state',
  );
  const paused = gauge('isms_otp_sending_paused', '1 while nothing is sent, for this reason', 'reason');
  const refusal = gauge(
    'isms_otp_sending_refusal_info',
    '1 while sending is paused for an app by an unrecognised text of iSMS',
    'app',
    'text',
  );
  const pausedApp = gauge('isms_otp_app_paused', '1 while an operator has paused an app', 'app');
  const budget = gauge(
    'isms_otp_budget_used_ratio',
    "Share of an app's budget of credits that is used in the current day or month",
    'app',
    'period',
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
    for (const each of [jobs, age, inBatches, webhooks, paused, refusal, pausedApp]) each.reset();
    for (const each of [budget, alarms, lowConversion]) each.reset();
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
    for (const { app, reason, otps } of state.inBatches) inBatches.set({ app, reason }, otps);
    for (const { app, text } of state.holds) refusal.set({ app, text }, 1);
    for (const app of state.pausedApps) pausedApp.set({ app }, 1);
    for (const { app, period, share } of state.budgets) budget.set({ app, period }, share);
    memory.set(state.memory);
    for (const { app, country } of state.lowConversions) lowConversion.set({ app, country }, 1);
    if (!state.balance) return;
    for (const [alarm, on] of Object.entries(state.balance.alarms)) alarms.set({ alarm }, on ? 1 : 0);
    credits.set(state.balance.credits);
    setMoment(checkedAt, state.balance.checkedAt);
    setMoment(expiresAt, state.balance.expiresAt);
    setMoment(runsOutAt, state.balance.runsOutAt);
  };
  return async (read: () => Promise<GatewayState>) => {
    const state = await withTimeout(read(), readWithinMs).catch(() => null);
    forget();
    readable.set(state ? 1 : 0);
    if (state) set(state);
  };
}
