import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BalanceOutcome } from '../../src/otp/outcome.js';
import { balanceJob, createBalanceQueue } from '../../src/queues/queues.js';
import { createCredits } from '../../src/workers/balance.js';
import { sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, type Scene } from '../support/workers.js';

const redis = await connect();
const { queue } = createBalanceQueue(redis, () => {});
let scene: Scene;

beforeEach(async () => {
  await redis.flushdb();
  scene = await createScene(redis);
});
afterEach(() => scene.close());

const snapshots = () => scene.store.balance.history({ since: 0, until: Number.MAX_SAFE_INTEGER, limit: 100 });
const alarms = () => scene.log.filter(({ event }) => event === 'balance.low');

async function snapshotNow(): Promise<string> {
  const job = await queue.add(balanceJob, {});
  for (;;) {
    const state = await job.getState();
    if (state === 'completed' || state === 'failed') return state;
    await sleep(10);
  }
}

describe('balance snapshots', () => {
  it('are taken once a period, however many workers run', async () => {
    const everyMs = 400;
    const startedAt = Date.now();
    await Promise.all([scene.start({ everyMs }), scene.start({ everyMs }), scene.start({ everyMs })]);
    let taken = 0;
    while (taken < 5) {
      await sleep(50);
      taken = (await snapshots()).length;
    }
    expect(taken).toBeLessThanOrEqual((Date.now() - startedAt) / everyMs + 2);
    expect(await queue.getJobSchedulersCount()).toBe(1);
  });

  it('continue after Redis was emptied, without a restart', async () => {
    await scene.start({ everyMs: 1_000 });
    while ((await snapshots()).length === 0) await sleep(20);
    await redis.flushdb();
    while ((await snapshots()).length === 0) await sleep(20);
  });

  it('record the credits and the expiry that iSMS reports', async () => {
    scene.simulator.state.change({ credits: 81, expiresOn: '2031-04-29' });
    await scene.start();
    expect(await snapshotNow()).toBe('completed');
    expect(await scene.store.balance.latest()).toMatchObject({ credits: 81, expiresOn: '2031-04-29' });
  });

  it('fail when the balance cannot be read, instead of recording zero', async () => {
    scene.simulator.state.change({ trouble: 'authentication_failed', failureStyle: 'code' });
    await scene.start();
    expect(await snapshotNow()).toBe('failed');
    expect(await snapshots()).toEqual([]);
    expect(alarms()).toEqual([]);
  });

  it('log an alarm once when credits get low, and once when they have recovered', async () => {
    await scene.start();
    for (const credits of [500, 99, 50, 20]) {
      scene.simulator.state.change({ credits });
      await snapshotNow();
    }
    expect(alarms()).toMatchObject([{ level: 'warn', on: true, credits: 99 }]);
    scene.simulator.state.change({ credits: 500 });
    await snapshotNow();
    expect(alarms()).toMatchObject([{ on: true }, { level: 'info', on: false }]);
  });

  it('log an alarm before the credits expire', async () => {
    scene.simulator.state.change({ expiresOn: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) });
    await scene.start();
    await snapshotNow();
    expect(scene.log.filter(({ event }) => event === 'balance.expiring')).toMatchObject([{ on: true }]);
  });
});

const known = (credits: number): BalanceOutcome => ({ kind: 'known', credits, expiresOn: null });

it('any price counts as covered half a minute after the last known balance, while the balance call hangs', async () => {
  let now = 0;
  let answer: () => Promise<BalanceOutcome> = async () => known(2);
  const credits = createCredits({ balance: () => answer() }, () => now);
  expect(credits.cover(3), 'nothing is known').toBe(true);
  await credits.balance();
  expect([credits.cover(3), credits.cover(2)]).toEqual([false, true]);
  answer = () => new Promise(() => {});
  now = 29_999;
  expect(credits.cover(3)).toBe(false);
  now = 30_000;
  expect(credits.cover(3)).toBe(true);
});

it('a balance that was too low is read again before it is too old to count', async () => {
  let now = 0;
  let left = 2;
  const credits = createCredits({ balance: async () => known(left) }, () => now);
  await credits.balance();
  left = 50;
  now = 10_000;
  expect(credits.cover(3)).toBe(false);
  await credits.balance();
  expect(credits.cover(3)).toBe(true);
});
