import { beforeEach, describe, expect, it } from 'vitest';
import type { SendOutcome, VerifyOutcome } from '../../src/otp/outcome.js';
import { momentIn, type Provider } from '../../src/otp/provider.js';
import { createRetryBudget, resilientProvider } from '../../src/provider/decorated-provider.js';
import { sendCall, verifyCall } from '../isms/account.js';
import { manualClock } from '../support/manual-clock.js';

let clock: ReturnType<typeof manualClock>;
let made: string[];
let sends: SendOutcome;
let verifies: VerifyOutcome;
let resilient: Provider;

beforeEach(() => {
  clock = manualClock();
  made = [];
  sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
  verifies = { kind: 'correct' };
  const isms: Provider = {
    send: async () => {
      made.push('send');
      return sends;
    },
    verify: async () => {
      made.push('verify');
      return verifies;
    },
    balance: async () => {
      made.push('balance');
      return { kind: 'unavailable', reason: 'not_connected' };
    },
    close: async () => void made.push('close'),
  };
  const logger = { info: () => {}, warn: () => {} };
  resilient = resilientProvider(isms, { logger, clock }).provider;
});

const send = (callNumber = 1) =>
  resilient.send({ ...sendCall, callNumber }, { leaveBy: momentIn(1_000), endBy: performance.now() + 1_000 });
const verify = () => resilient.verify(verifyCall);
const fail = async (times: number, call: () => Promise<unknown>) => {
  sends = { kind: 'unknown', reason: 'timeout' };
  verifies = { kind: 'unavailable', reason: 'timeout' };
  for (let i = 0; i < times; i++) await call();
};

describe('a resilient provider', () => {
  it('rejects sends as circuit_open while they fail, and still verifies', async () => {
    await fail(5, send);
    made = [];
    expect(await send()).toEqual({ kind: 'unsent', reason: 'circuit_open' });
    expect(made).toEqual([]);
    verifies = { kind: 'correct' };
    expect(await verify()).toEqual({ kind: 'correct' });
  });

  it('rejects verifications as circuit_open while they fail, and still sends', async () => {
    await fail(5, verify);
    made = [];
    expect(await verify()).toEqual({ kind: 'unsent', reason: 'circuit_open' });
    expect(made).toEqual([]);
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    expect(await send()).toMatchObject({ kind: 'accepted' });
  });

  it('always makes balance calls', async () => {
    await fail(5, verify);
    await fail(5, send);
    for (let i = 0; i < 20; i++) await resilient.balance();
    expect(made.filter((call) => call === 'balance')).toHaveLength(20);
  });

  it('defers retries beyond the budget, and never a first call', async () => {
    const outcomes = [];
    for (let i = 0; i < 30; i++) outcomes.push(await send(2));
    expect(outcomes.slice(10)).toEqual(Array(20).fill({ kind: 'unsent', reason: 'retry_budget' }));
    expect(made).toHaveLength(10);
    expect(await send()).toMatchObject({ kind: 'accepted' });
  });

  it('earns one retry with ten first calls', async () => {
    for (let i = 0; i < 10; i++) await send();
    for (let i = 0; i < 11; i++) expect(await send(2)).toMatchObject({ kind: 'accepted' });
    expect(await send(2)).toMatchObject({ reason: 'retry_budget' });
  });

  it('counts unsent retries neither as failures nor, while the circuit is open, against the budget', async () => {
    await fail(5, send);
    for (let i = 0; i < 30; i++) await send(2);
    clock.advance(5_000);
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    for (let i = 0; i < 11; i++) expect(await send(2)).toMatchObject({ kind: 'accepted' });
    for (let i = 0; i < 30; i++) expect(await send(2)).toMatchObject({ reason: 'retry_budget' });
    expect(await send()).toMatchObject({ kind: 'accepted' });
  });

  it('lets a retry be the probe when the budget is used up', async () => {
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    for (let i = 0; i < 10; i++) await send(2);
    await fail(5, send);
    clock.advance(5_000);
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    expect(await send(3)).toMatchObject({ kind: 'accepted' });
  });

  it('closes the provider that it wraps', async () => {
    await resilient.close();
    expect(made).toEqual(['close']);
  });
});

describe('the retry budget', () => {
  let now: number;
  let budget: ReturnType<typeof createRetryBudget>;
  beforeEach(() => {
    now = 0;
    budget = createRetryBudget(() => now);
  });
  const earn = (calls: number) => {
    for (let i = 0; i < calls; i++) budget.earn();
  };
  /** How many of `wanted` extra calls are allowed now. */
  const spent = (wanted: number) =>
    Array.from({ length: wanted }, () => budget.spend()).filter(Boolean).length;

  it('allows a tenth of the first calls, plus ten', () => {
    earn(1_000);
    expect(spent(500)).toBe(110);
  });

  it('allows one retry a second without first calls', () => {
    let extras = 0;
    for (now = 0; now < 100_000; now += 100) extras += spent(3);
    expect(extras).toBeGreaterThanOrEqual(100);
    expect(extras).toBeLessThanOrEqual(112);
  });

  it('does not accumulate tokens in a quiet hour', () => {
    for (now = 0; now < 3_600_000; now += 1_000) earn(10);
    now += 10_000;
    expect(spent(500)).toBe(10);
  });

  it('holds in every window of ten seconds under constant retries', () => {
    const extras: number[] = [];
    for (now = 0; now < 60_000; now += 10) {
      earn(1);
      extras.push(...Array<number>(spent(5)).fill(now));
    }
    for (let from = 0; from <= 50_000; from += 500) {
      const within = extras.filter((at) => at >= from && at < from + 9_900).length;
      expect(within).toBeLessThanOrEqual(110);
    }
    expect(extras.length).toBeGreaterThan(600);
  });
});
