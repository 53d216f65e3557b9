import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { balanceJob, createBalanceQueue } from '../../src/queues/balance.js';
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

  it('go on after Redis was emptied, though nobody starts a worker again', async () => {
    await scene.start({ everyMs: 1_000 });
    while ((await snapshots()).length === 0) await sleep(20);
    await redis.flushdb();
    while ((await snapshots()).length === 0) await sleep(20);
  });

  it('hold what iSMS said', async () => {
    scene.simulator.state.change({ credits: 81, expiresOn: '2031-04-29' });
    await scene.start();
    expect(await snapshotNow()).toBe('completed');
    expect(await scene.store.balance.latest()).toMatchObject({ credits: 81, expiresOn: '2031-04-29' });
  });

  it('are not made up: a balance that cannot be read is an error, not zero', async () => {
    scene.simulator.state.change({ trouble: 'authentication_failed', failureStyle: 'code' });
    await scene.start();
    expect(await snapshotNow()).toBe('failed');
    expect(await snapshots()).toEqual([]);
    expect(alarms()).toEqual([]);
  });

  it('ring an alarm once when credits get low, and once when they are back', async () => {
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

  it('ring an alarm before the credits expire', async () => {
    scene.simulator.state.change({ expiresOn: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) });
    await scene.start();
    await snapshotNow();
    expect(scene.log.filter(({ event }) => event === 'balance.expiring')).toMatchObject([{ on: true }]);
  });
});
