import { beforeEach, describe, expect, it } from 'vitest';
import { partitions } from '../../src/otp/otp-id.js';
import { keys } from '../../src/store/keys.js';
import type { Store } from '../../src/store/store.js';
import { accepted, admitted, claimed, number, policy, testStore } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;
let store: Store;
const to = number('0123456789');

beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
  store = testStore(clock.redis);
});

describe('a person', () => {
  it('is found by the number in all apps, without OTPs of other numbers', async () => {
    const ids = [await admitted(store, { reference: 'order-1' }), await admitted(store, { app: 'bank' })];
    for (let i = 10; i < 60; i++) await admitted(store, { to: number(`01234567${i}`) });
    for (const tag of partitions) await redis.set(keys.record(tag, 'otp_broken'), 'x');
    const found = await store.dataSubjects.find(to);
    expect(found.map(({ id }) => id).sort()).toEqual(ids.sort());
    expect(found.every((otp) => otp.to.e164 === to.e164)).toBe(true);
    expect(found.find(({ app }) => app === 'shop')).toMatchObject({ reference: 'order-1' });
  });

  it('is gone once it is erased: records, references, limits, and nothing of anybody else', async () => {
    const other = await admitted(store, { to: number('0123456780'), reference: 'order-1' });
    const before = (await redis.keys('*')).sort();
    const id = await admitted(store, { reference: 'order-1' });
    await store.sendAttempts.settle(await claimed(store, id), accepted());
    await store.dataSubjects.erase(to, await store.dataSubjects.find(to));
    expect(await store.dataSubjects.find(to)).toEqual([]);
    expect((await store.otps.findByReference('shop', 'order-1')).map((otp) => otp.id)).toEqual([other]);
    const after = (await redis.keys('*'))
      .filter((key) => !/:(due|history)$|:erased:|^isms:\{conversion\}/.test(key))
      .sort();
    expect(after).toEqual(before.filter((key) => !/:(due|history)$/.test(key)));
    for (const key of await redis.keys('*:due')) expect(await redis.zrange(key, '0', '-1')).not.toContain(id);
  });

  it('leaves no hash of the number among the refusals of its apps once it is erased', async () => {
    const refusals = [to, number('0123456780')].map((each) => ({ to: each, claimedAt: clock.now() }));
    await store.appHolds.noteRefusals({ app: 'shop', text: 'Tidak', refusals });
    const refused = async () => {
      const raw = (await redis.hget(keys.appCalls, 'shop')) ?? '{}';
      return Object.keys((JSON.parse(raw) as { refusals?: object }).refusals ?? {}).length;
    };
    expect(await refused()).toBe(2);
    await store.dataSubjects.erase(to, []);
    expect(await refused()).toBe(1);
  });

  it('stays erased when a call that was under way ends, and when its worker was frozen for long', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    await store.dataSubjects.erase(to, await store.dataSubjects.find(to));
    expect(await store.sendAttempts.settle(claim, accepted())).toBeNull();
    await clock.advance(policy.sendLeaseMs);
    expect(await store.sendAttempts.settle(claim, accepted())).toBeNull();
    expect(await store.sendAttempts.claim(id, 'again')).toEqual({ kind: 'missing' });
    expect(await store.dataSubjects.find(to)).toEqual([]);
  });
});
