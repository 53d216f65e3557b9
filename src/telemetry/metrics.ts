import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { createStateMetrics, type GatewayState } from './state-metrics.js';

/** Seconds. A code that takes longer than half a minute has lost its person; bulk may wait for its hour. */
const waitBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600];
/** Seconds. A send is given 30, as the vendor's own sample does. */
const callBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30];
/** Seconds. The longest `Prefer: wait` is 30. */
const requestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const circuitStates = ['closed', 'half_open', 'open'] as const;

/** What this process counts, and what it can tell of the state that all share. */
export type Metrics = ReturnType<typeof createMetrics>;

/** The metrics of one process. Names and units follow https://prometheus.io/docs/practices/naming/. */
export function createMetrics(version: string) {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
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
  const refused = counter('isms_otp_refused_total', 'OTPs refused, by problem code', 'app', 'lane', 'code');
  const sent = counter('isms_otp_sent_total', 'OTPs that iSMS took', 'app', 'country', 'lane');
  const waited = histogram(
    'isms_otp_time_to_send_seconds',
    'From the acceptance of an OTP until iSMS took it',
    waitBuckets,
    'lane',
  );
  const failed = counter('isms_otp_failed_total', 'OTPs that ended without an SMS', 'app', 'code');
  const unknown = counter(
    'isms_otp_unknown_total',
    'OTPs that ended without knowing whether an SMS was sent',
    'app',
  );
  const retries = counter('isms_otp_retries_total', 'Calls proven unsent that are made again', 'reason');
  const resends = counter(
    'isms_otp_resends_total',
    'Calls after one with an unknown outcome: each may be a second SMS',
    'app',
  );
  const unrecognised = counter(
    'isms_otp_unrecognised_refusals_total',
    'Calls that iSMS refused in words that the gateway does not know',
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
  const circuits = gauge('isms_circuit_state', '1 for the state a circuit breaker is in', 'circuit', 'state');
  const tally = createTally();
  const refreshState = createStateMetrics(gauge);
  let readState: (() => Promise<GatewayState>) | null = null;

  return {
    request: ({ method, route, status, seconds }: RequestFacts) =>
      requests.observe({ method, route: route ?? 'none', status: String(status) }, seconds),
    accepted: (app: string, lane: string, count = 1) => {
      accepted.inc({ app, lane }, count);
      tally.add('accepted', count);
    },
    refused: (app: string, lane: string, code: string) => {
      refused.inc({ app, lane, code });
      tally.add('refused');
    },
    sent: ({ app, country, lane, waitedSeconds }: SentFacts) => {
      sent.inc({ app, country, lane });
      tally.add('sent');
      if (waitedSeconds === null) return;
      waited.observe({ lane }, waitedSeconds);
      if (lane === 'single') tally.add(`waited:${waitBuckets.find((limit) => waitedSeconds <= limit) ?? ''}`);
    },
    failed: (app: string, code: string) => {
      failed.inc({ app, code });
      tally.add('failed');
    },
    unknown: (app: string) => {
      unknown.inc({ app });
      tally.add('unknown');
    },
    retried: (reason: string) => retries.inc({ reason }),
    resent: (app: string) => resends.inc({ app }),
    unrecognised: (call: 'send' | 'verify') => unrecognised.inc({ call }),
    delivered: (event: string, ok: boolean) =>
      deliveries.inc({ event, outcome: ok ? 'delivered' : 'failed' }),
    verification: (app: string, result: string) => verifications.inc({ app, result }),
    /** `slotsAgo`: how many slots of the statistics ago it was sent. */
    verified: (app: string, country: string, slotsAgo: number) => {
      verified.inc({ app, country });
      tally.add(`verified:${slotsAgo}`);
    },
    /** The same counts, for the overview page. */
    tally,
    /** A call to iSMS that is over. */
    call: (call: string, outcome: string, seconds: number) => calls.observe({ call, outcome }, seconds),
    circuit: (circuit: string, now: (typeof circuitStates)[number]) => {
      for (const state of circuitStates) circuits.set({ circuit, state }, state === now ? 1 : 0);
    },
    /** Sets the function that reads the shared state at each scrape. */
    observe: (read: () => Promise<GatewayState>) => {
      readState = read;
    },
    /** Everything, as Prometheus reads it. What cannot be read of the shared state is left out. */
    exposition: async () => {
      if (readState) await refreshState(readState);
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

interface SentFacts {
  app: string;
  country: string;
  lane: string;
  waitedSeconds: number | null;
}

/** Counts for the overview page, since they were last taken. */
export interface Tally {
  add(name: string, count?: number): void;
  /** Takes the counts; `giveBack` returns them when they could not be written. */
  take(): Record<string, number>;
  giveBack(counts: Record<string, number>): void;
}

function createTally(): Tally {
  let counts = new Map<string, number>();
  const add = (name: string, count = 1) => void counts.set(name, (counts.get(name) ?? 0) + count);
  return {
    add,
    take: () => {
      const taken = Object.fromEntries(counts);
      counts = new Map();
      return taken;
    },
    giveBack: (taken) => {
      for (const [name, count] of Object.entries(taken)) add(name, count);
    },
  };
}
