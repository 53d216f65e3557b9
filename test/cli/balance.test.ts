import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { barsOf } from '../../src/cli/balance.js';
import { keys } from '../../src/store/keys.js';
import { type FullGateway, startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { run, settingsFor } from './run-terminal.js';

const dayMs = 86_400_000;
const dateOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

const redis = await connect();
let gateway: FullGateway;
beforeAll(async () => {
  gateway = await startFullGateway({ BALANCE_EVERY_SECONDS: '3600' });
  // The worker looks once when it starts.
  await vi.waitUntil(async () => (await redis.zcard(keys.balanceHistory)) > 0, { timeout: 10_000 });
});
afterAll(() => gateway.close());

const ask = (...args: string[]) => run(['balance', ...args], { env: settingsFor(gateway) });

/** What the history holds, in place of what it held; `[at, credits]`. */
async function keepOnly(...snapshots: [number, number][]): Promise<void> {
  await redis.del(keys.balanceHistory);
  for (const [at, credits] of snapshots) {
    await redis.zadd(keys.balanceHistory, at, JSON.stringify({ at, credits, expiresOn: '2099-01-31' }));
  }
}

describe('balance', () => {
  it('shows credits, how long they last, and a block for each of the last 30 days, by its last snapshot', async () => {
    const now = Date.now();
    await keepOnly(
      // Before the chart.
      [now - 40 * dayMs, 10_000],
      [now - 29 * dayMs, 9_000],
      [now - 3 * dayMs - 1, 8_000],
      [now - 3 * dayMs, 800],
      [now - 1 * dayMs, 450],
      [now - 1, 100],
    );
    const { code, out, err } = await ask();
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^credits +100\n/);
    expect(out).toMatch(/^expires on +2099-01-31$/m);
    expect(out).toMatch(/^per day +\d+\.\d$/m);
    expect(out).toMatch(/^runs out on +\d{4}-/m);
    const [bars, dates, ends] = out.split('\n\n')[1]?.split('\n') ?? [];
    expect(bars).toBe(`█${' '.repeat(25)}▂ ▁▁`);
    expect(dates).toBe(`${dateOf(now - 29 * dayMs)}          ${dateOf(now)}`);
    expect(dates).toHaveLength(30);
    expect(ends).toBe('min 100  max 9,000');
  });

  it('answers the balance and the days that have a snapshot as JSON', async () => {
    const now = Date.now();
    await keepOnly([now - 2 * dayMs, 300], [now - 1, 200]);
    expect((await ask('--json')).json()).toMatchObject({
      balance: { credits: 200, expiresOn: '2099-01-31' },
      days: [
        { date: dateOf(now - 2 * dayMs), credits: 300 },
        { date: dateOf(now), credits: 200 },
      ],
    });
  });

  it('asks iSMS now with --refresh', async () => {
    gateway.simulator.state.change({ credits: 4_321 });
    await redis.del(keys.lease('balance'));
    expect((await ask('--refresh', '--json')).json()).toMatchObject({ balance: { credits: 4_321 } });
  });

  it('exits 4 without a snapshot', async () => {
    await keepOnly();
    const { code, err } = await ask();
    expect(code).toBe(4);
    expect(err).toMatch(/^isms-otp: .*\(balance_unavailable\): .*try again in \d+ s\n$/);
  });
});

describe('a chart', () => {
  it('spans the lowest to the highest block, with gaps for unknown values', () => {
    expect(barsOf([0, 1, 2, 3, null, 4, 5, 6, 7])).toBe('▁▂▃▄ ▅▆▇█');
    expect(barsOf([5, 5])).toBe('▁▁');
    expect(barsOf([null])).toBe(' ');
  });
});
