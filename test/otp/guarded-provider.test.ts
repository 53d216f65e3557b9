import { beforeEach, describe, expect, it } from 'vitest';
import { createCircuitBreaker } from '../../src/otp/circuit-breaker.js';
import type { SendOutcome, VerifyOutcome } from '../../src/otp/outcome.js';
import { momentIn, type Provider } from '../../src/otp/provider.js';
import { createResilientProvider } from '../../src/otp/resilient-provider.js';
import { createRetryBudget } from '../../src/otp/retry-budget.js';
import { sendCall, verifyCall } from '../isms/account.js';
import { manualClock } from '../support/manual-clock.js';

let clock: ReturnType<typeof manualClock>;
let made: string[];
let sends: SendOutcome;
let verifies: VerifyOutcome;
let guarded: Provider;

beforeEach(() => {
  clock = manualClock();
  made = [];
  sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
  verifies = { kind: 'correct' };
  guarded = createResilientProvider({
    provider: {
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
    },
    circuits: { sends: createCircuitBreaker(clock), verifications: createCircuitBreaker(clock) },
    retryBudget: createRetryBudget(clock.now),
  });
});

const send = (attempt = 1) =>
  guarded.send({ ...sendCall, attempt }, { leaveBy: momentIn(1_000), endBy: performance.now() + 1_000 });
const verify = () => guarded.verify(verifyCall);
const fail = async (times: number, call: () => Promise<unknown>) => {
  sends = { kind: 'unknown', reason: 'timeout' };
  verifies = { kind: 'unavailable', reason: 'timeout' };
  for (let i = 0; i < times; i++) await call();
};

describe('a guarded provider', () => {
  it('makes no send while iSMS is ill, says so, and verifies all the same', async () => {
    await fail(5, send);
    made = [];
    expect(await send()).toEqual({ kind: 'deferred', reason: 'circuit_open' });
    expect(made).toEqual([]);
    verifies = { kind: 'correct' };
    expect(await verify()).toEqual({ kind: 'correct' });
  });

  it('makes no verification while iSMS is ill, says so, and sends all the same', async () => {
    await fail(5, verify);
    made = [];
    expect(await verify()).toEqual({ kind: 'unsent', reason: 'circuit_open' });
    expect(made).toEqual([]);
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    expect(await send()).toMatchObject({ kind: 'accepted' });
  });

  it('always asks for the balance', async () => {
    await fail(5, verify);
    await fail(5, send);
    for (let i = 0; i < 20; i++) await guarded.balance();
    expect(made.filter((call) => call === 'balance')).toHaveLength(20);
  });

  it('holds back retries beyond the budget, and first calls never', async () => {
    const outcomes = [];
    for (let i = 0; i < 30; i++) outcomes.push(await send(2));
    expect(outcomes.slice(10)).toEqual(Array(20).fill({ kind: 'deferred', reason: 'retry_budget' }));
    expect(made).toHaveLength(10);
    expect(await send()).toMatchObject({ kind: 'accepted' });
  });

  it('earns a token with ten first calls', async () => {
    for (let i = 0; i < 10; i++) await send();
    for (let i = 0; i < 11; i++) expect(await send(2)).toMatchObject({ kind: 'accepted' });
    expect(await send(2)).toMatchObject({ reason: 'retry_budget' });
  });

  it('takes its own refusals for no sign of illness, and an open circuit for no use of the budget', async () => {
    await fail(5, send);
    for (let i = 0; i < 30; i++) await send(2);
    clock.advance(5_000);
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    for (let i = 0; i < 11; i++) expect(await send(2)).toMatchObject({ kind: 'accepted' });
    for (let i = 0; i < 30; i++) expect(await send(2)).toMatchObject({ reason: 'retry_budget' });
    expect(await send()).toMatchObject({ kind: 'accepted' });
  });

  it('lets a retry probe when the budget is used up', async () => {
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    for (let i = 0; i < 10; i++) await send(2);
    await fail(5, send);
    clock.advance(5_000);
    sends = { kind: 'accepted', uuid: 'u', smsId: '1' };
    expect(await send(3)).toMatchObject({ kind: 'accepted' });
  });

  it('closes what it guards', async () => {
    await guarded.close();
    expect(made).toEqual(['close']);
  });
});
