import { describe, expect, it } from 'vitest';
import { createBalanceStore } from '../../src/store/balance.js';
import { balanceLimits, policy } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const redis = await connect();
const clock = redisClock(redis);
const balance = createBalanceStore({ redis: clock.redis, policy, balanceLimits });

describe('balance snapshots', () => {
  it('are kept in order and found by time', async () => {
    expect(await balance.latest()).toBeNull();
    for (const credits of [381.5, 380, 379]) {
      await balance.record({ credits, expiresOn: '2099-04-29' });
      await clock.advance(2);
    }
    expect(await balance.latest()).toMatchObject({ credits: 379, expiresOn: '2099-04-29' });
    const all = await balance.history({ since: 0, until: Number.MAX_SAFE_INTEGER, limit: 10 });
    expect(all.map(({ credits }) => credits)).toEqual([379, 380, 381.5]);
    const [, middle] = all;
    const before = await balance.history({ since: 0, until: middle?.at ?? 0, limit: 10 });
    expect(before.map(({ credits }) => credits)).toEqual([381.5]);
  });

  it('make a curve: the first of each part of the time, and the newest', async () => {
    const [newest] = await balance.history({ since: 0, until: Number.MAX_SAFE_INTEGER, limit: 1 });
    const until = (newest?.at ?? 0) + 1;
    const curveOf = async (points: number, since: number) =>
      (await balance.curve({ since, until, points })).map(({ credits }) => credits);
    expect(await curveOf(1, 0)).toEqual([381.5, 379]);
    expect(await curveOf(1, newest?.at ?? 0)).toEqual([379]);
    expect(await curveOf(1_000, until - 1_000)).toEqual([381.5, 380, 379]);
  });

  it('switch each alarm once, not with every snapshot', async () => {
    const record = async (credits: number) => (await balance.record({ credits, expiresOn: null })).switched;
    expect(await record(99)).toEqual([{ alarm: 'low', on: true }]);
    expect(await record(98)).toEqual([]);
    expect(await record(100)).toEqual([{ alarm: 'low', on: false }]);
    expect(await record(101)).toEqual([]);
  });
});
