import { afterEach, describe, expect, it, vi } from 'vitest';
import type { GatewayState } from '../../src/telemetry/metrics.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { samplesOf } from '../support/samples.js';

afterEach(() => {
  vi.useRealTimers();
});

const state: GatewayState = {
  waiting: [
    { lane: 'single', jobs: 3, since: Date.now() - 5_000 },
    { lane: 'bulk', jobs: 0, since: null },
  ],
  webhooks: { waiting: 1, retrying: 2, dead: 3 },
  paused: { operator: false, insufficient_credits: true, unrecognised_refusal: false },
  holds: [],
  memory: 0.25,
  balance: {
    credits: 81.5,
    checkedAt: 1_700_000_000_000,
    expiresAt: 1_800_000_000_000,
    runsOutAt: null,
    alarms: { low: true, expiring: false },
  },
  lowConversions: [{ app: 'shop', country: 'MY' }],
  pausedApps: ['bank'],
  inBatches: [{ app: 'shop', reason: 'pace', otps: 900 }],
  budgets: [{ app: 'shop', period: 'day', share: 0.8 }],
};
const samples = async (read?: () => Promise<GatewayState>) => {
  const metrics = createMetrics('1.2.3');
  if (read) metrics.observe(read);
  return samplesOf((await metrics.exposition()).text);
};

describe('the shared state', () => {
  it('is exposed in base units, with each pause reason as a series', async () => {
    const found = await samples(async () => state);
    expect(found).toMatchObject({
      isms_otp_redis_up: 1,
      'isms_otp_queue_jobs{lane="single"}': 3,
      'isms_otp_queue_jobs{lane="bulk"}': 0,
      'isms_otp_queue_oldest_age_seconds{lane="bulk"}': 0,
      'isms_otp_sending_paused{reason="insufficient_credits"}': 1,
      'isms_otp_sending_paused{reason="operator"}': 0,
      isms_otp_redis_memory_ratio: 0.25,
      'isms_balance_alarm{alarm="low"}': 1,
      'isms_balance_alarm{alarm="expiring"}': 0,
      'isms_otp_conversion_low{app="shop",country="MY"}': 1,
      'isms_otp_app_paused{app="bank"}': 1,
      'isms_otp_batch_waiting{app="shop",reason="pace"}': 900,
      'isms_otp_budget_used_ratio{app="shop",period="day"}': 0.8,
      isms_balance_credits: 81.5,
      isms_balance_checked_timestamp_seconds: 1_700_000_000,
      isms_balance_expiry_timestamp_seconds: 1_800_000_000,
    });
    expect(found['isms_otp_queue_oldest_age_seconds{lane="single"}']).toBeCloseTo(5, 0);
    expect(found).not.toHaveProperty('isms_balance_empty_timestamp_seconds');
  });

  it('tells the words that iSMS refuses OTPs with, and no longer than it does', async () => {
    const metrics = createMetrics('1.2.3');
    let holds = [{ app: 'shop', text: 'Sistem tergendala' }];
    metrics.observe(async () => ({ ...state, holds }));
    const info = 'isms_otp_sending_refusal_info{app="shop",text="Sistem tergendala"}';
    const found = samplesOf((await metrics.exposition()).text);
    expect(found).toMatchObject({ [info]: 1, 'isms_otp_sending_paused{reason="unrecognised_refusal"}': 1 });
    holds = [];
    expect(samplesOf((await metrics.exposition()).text)).not.toHaveProperty([info]);
  });

  it('is left out, not told as it was or as zero, when Redis cannot be read or takes too long', async () => {
    const metrics = createMetrics('1.2.3');
    let read: () => Promise<GatewayState> = async () => state;
    metrics.observe(() => read());
    await metrics.exposition();
    for (const trouble of [
      async () => Promise.reject(new Error('gone')),
      () => new Promise<never>(() => {}),
    ]) {
      read = trouble;
      const found = samplesOf((await metrics.exposition()).text);
      expect(found['isms_otp_redis_up']).toBe(0);
      const shared = Object.keys(found).filter((name) =>
        /^isms_(balance|otp_(queue|sending|redis_memory|conversion))/.test(name),
      );
      expect(shared).toEqual([]);
    }
  });

  it('is read once for all who scrape at the same time', async () => {
    const metrics = createMetrics('1.2.3');
    let reads = 0;
    metrics.observe(async () => {
      reads += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return state;
    });
    const found = await Promise.all([1, 2, 3].map(async () => samplesOf((await metrics.exposition()).text)));
    expect(found.map((each) => each['isms_balance_credits'])).toEqual([81.5, 81.5, 81.5]);
    expect(reads).toBe(1);
  });

  it('says nothing of credits while there is no snapshot', async () => {
    const found = await samples(async () => ({ ...state, balance: null }));
    expect(Object.keys(found).filter((name) => name.startsWith('isms_balance'))).toEqual([]);
  });
});

it('a circuit is in one state at a time', async () => {
  const metrics = createMetrics('1.2.3');
  metrics.circuit('sends', 'closed');
  metrics.circuit('sends', 'open');
  const found = samplesOf((await metrics.exposition()).text);
  expect(found).toMatchObject({
    'isms_circuit_state{circuit="sends",state="open"}': 1,
    'isms_circuit_state{circuit="sends",state="closed"}': 0,
    'isms_circuit_state{circuit="sends",state="half_open"}': 0,
  });
});

it('counts failed connections to a host of iSMS', async () => {
  const metrics = createMetrics('1.2.3');
  metrics.hostFailed('https://ww3.isms.test');
  metrics.hostFailed('https://ww3.isms.test');
  expect(samplesOf((await metrics.exposition()).text)).toMatchObject({
    'isms_host_connection_failures_total{host="https://ww3.isms.test"}': 2,
  });
});

// The library moves a window on in steps of seconds: after a jump of the clock that blocks the process.
it('the utilisation of the event loop has no window that moves with the clock', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'hrtime'] });
  const metrics = createMetrics('1.2.3');
  vi.advanceTimersByTime(2_000);
  const median = async () =>
    samplesOf((await metrics.exposition()).text)['nodejs_eventloop_utilization_summary{quantile="0.5"}'];
  const before = await median();
  vi.setSystemTime(Date.now() + 3_600_000);
  expect(before).toBeGreaterThan(0);
  expect(await median()).toBe(before);
});
