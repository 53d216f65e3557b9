import { describe, expect, it } from 'vitest';
import { createBalanceStore } from '../../src/store/balance.js';
import { sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const balance = createBalanceStore(redis);
const calm = { low: false, expiring: false };

describe('balance snapshots', () => {
  it('are kept in order and found by time', async () => {
    expect(await balance.latest()).toBeNull();
    for (const credits of [81.5, 80, 79]) {
      await balance.record({ credits, expiresOn: '2027-04-29' }, calm);
      await sleep(2);
    }
    expect(await balance.latest()).toMatchObject({ credits: 79, expiresOn: '2027-04-29' });
    const all = await balance.history({ since: 0, until: Number.MAX_SAFE_INTEGER, limit: 10 });
    expect(all.map(({ credits }) => credits)).toEqual([79, 80, 81.5]);
    const [, middle] = all;
    const before = await balance.history({ since: 0, until: middle?.at ?? 0, limit: 10 });
    expect(before.map(({ credits }) => credits)).toEqual([81.5]);
  });

  it('switch each alarm once, not with every snapshot', async () => {
    const record = async (low: boolean) =>
      (await balance.record({ credits: 5, expiresOn: null }, { low, expiring: false })).switched;
    expect(await record(true)).toEqual(['low']);
    expect(await record(true)).toEqual([]);
    expect(await record(false)).toEqual(['low']);
    expect(await record(false)).toEqual([]);
  });
});
