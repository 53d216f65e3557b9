import { afterEach, describe, expect, it } from 'vitest';
import { keys } from '../../../src/store/keys.js';

import { expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { redis, store, simulator } = gateway;
const hourMs = 3_600_000;

const get = (path = '') => gateway.call('GET', `/v1/balance${path}`);
const balanceCalls = () => simulator.state.stats().calls.balance;
const keep = async (at: number, credits: number, expiresOn = '2099-01-31') =>
  await redis.zadd(keys.balanceHistory, at, JSON.stringify({ at, credits, expiresOn }));
const iso = (ms: number) => new Date(ms).toISOString();

afterEach(async () => {
  await redis.del(keys.balanceHistory, keys.balanceAlarms, keys.lease('balance'));
  simulator.state.change({ credits: 10_000, trouble: null, latencyMs: 0 });
});

describe('GET /v1/balance: 200', () => {
  it('reads the latest snapshot without a call to iSMS', async () => {
    const calls = balanceCalls();
    const now = Date.now();
    await keep(now - 24 * hourMs, 112.5);
    await keep(now, 81);
    const reply = await get();
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({
      credits: 81,
      expiresOn: '2099-01-31',
      checkedAt: iso(now),
      low: true,
      expiring: false,
      creditsPerDay: 31.5,
      runsOutOn: iso(now + (81 / 31.5) * 24 * hourMs).slice(0, 10),
    });
    expect(balanceCalls()).toBe(calls);
  });

  it('has no consumption after one snapshot', async () => {
    await store.balance.record({ credits: 500, expiresOn: null });
    expect((await get()).json).toMatchObject({ low: false, creditsPerDay: null, runsOutOn: null });
  });

  it('warns of credits that expire soon', async () => {
    await keep(Date.now(), 500, iso(Date.now() + 48 * hourMs).slice(0, 10));
    expect((await get()).json).toMatchObject({ expiring: true });
  });
});

describe('GET /v1/balance?refresh=true: 200', () => {
  it('calls iSMS and records the balance', async () => {
    simulator.state.change({ credits: 42 });
    const reply = await get('?refresh=true');
    expect(reply.json).toMatchObject({ credits: 42, low: true });
    expect(await store.balance.latest()).toMatchObject({ credits: 42 });
  });

  it('logs each change of an alarm once', async () => {
    const before = gateway.logs.length;
    simulator.state.change({ credits: 42 });
    await get('?refresh=true');
    await redis.del(keys.lease('balance'));
    await get('?refresh=true');
    expect(gateway.logs.slice(before).filter((line) => line.includes('"balance.low"'))).toHaveLength(1);
  });

  it('shares one call to iSMS among simultaneous requests in two processes', async () => {
    const other = await startGateway({ dependencies: { provider: unreachable } });
    simulator.state.change({ credits: 77, latencyMs: 300 });
    const calls = balanceCalls();
    const first = Array.from({ length: 10 }, () => get('?refresh=true'));
    await expect.poll(() => balanceCalls() - calls, { timeout: 10_000 }).toBe(1);
    const second = Array.from({ length: 10 }, () => other.call('GET', '/v1/balance?refresh=true'));
    const replies = await Promise.all([...first, ...second]);
    for (const reply of replies) expect(reply.json).toMatchObject({ credits: 77 });
    expect(balanceCalls() - calls).toBe(1);
  });

  it('calls iSMS at most once in 10 s', async () => {
    const calls = balanceCalls();
    await get('?refresh=true');
    simulator.state.change({ credits: 5 });
    expect((await get('?refresh=true')).json).toMatchObject({ credits: 10_000 });
    expect(balanceCalls() - calls).toBe(1);
  });
});

/** Would fail the test if it were asked. */
const unreachable = {
  balance: async () => {
    throw new Error('the other process must not ask');
  },
  verify: async () => ({ kind: 'incorrect' }) as const,
};

describe('GET /v1/balance: 400 and 503', () => {
  it.each(['?refresh=yes', '?refresh=', '?fresh=true'])('refuses the query "%s"', async (query) => {
    expectProblem(await get(query), 400, 'invalid_request');
  });

  it('balance_unavailable without a snapshot', async () => {
    expectProblem(await get(), 503, 'balance_unavailable');
  });

  it('balance_unavailable if iSMS returns no balance', async () => {
    await keep(Date.now() - hourMs, 81);
    simulator.state.change({ trouble: 'ip_not_allowed' });
    expectProblem(await get('?refresh=true'), 503, 'balance_unavailable');
    expect(await store.balance.latest()).toMatchObject({ credits: 81 });
  });
});

describe('GET /v1/balance/history: 200', () => {
  it('pages through all snapshots, newest first, each once', async () => {
    const now = Date.now();
    for (let n = 0; n < 25; n++) await keep(now - n * hourMs, n);
    const seen: number[] = [];
    let query = '?limit=10';
    for (let page = 0; page < 3; page++) {
      const { json } = await get(`/history${query}`);
      const { snapshots, next } = json as { snapshots: { credits: number }[]; next: string | null };
      seen.push(...snapshots.map(({ credits }) => credits));
      query = `?limit=10&until=${next}`;
      expect(next === null).toBe(page === 2);
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => n));
  });

  it('keeps to since and until, with any offset', async () => {
    const at = Date.UTC(2025, 3, 1, 8);
    await keep(at, 1);
    const hit = await get(`/history?since=${encodeURIComponent('2025-04-01T16:00:00+08:00')}`);
    expect(hit.json).toEqual({
      snapshots: [{ at: iso(at), credits: 1, expiresOn: '2099-01-31' }],
      next: null,
    });
    expect((await get(`/history?until=${iso(at)}`)).json).toEqual({ snapshots: [], next: null });
  });
});

describe('GET /v1/balance/history: 400', () => {
  it.each([
    'limit=0',
    'limit=1001',
    'limit=1e2',
    'limit=-1',
    'limit=',
    'since=yesterday',
    'until=2025-04-01',
    'x=1',
  ])('refuses %s', async (query) => expectProblem(await get(`/history?${query}`), 400, 'invalid_request'));
});
