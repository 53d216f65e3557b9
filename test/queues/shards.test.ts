import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { newOtpId, partitions } from '../../src/otp/otp-id.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { shardName, shardOf } from '../../src/queues/shards.js';
import { number } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { startRedisServer } from '../support/redis-server.js';

const redis = await connect();
const otp = (i: number) => ({ id: newOtpId(partitions[i % 64] ?? ''), app: 'shop', to: number() });

describe('the slots of shards', () => {
  it.each([3, 6, 9, 12, 18])('%d of them load three masters equally', async (count) => {
    const server = await startRedisServer({ cluster: true });
    const one = new Redis(server.url);
    try {
      const keys = Array.from({ length: count }, (_, n) => shardName(n)).map(
        ({ name, prefix }) => `${prefix}:${name}:wait`,
      );
      const slots = await Promise.all(keys.map((key) => one.cluster('KEYSLOT', key)));
      const masters = slots.map((slot) => Math.floor((Number(slot) * 3) / 16_384));
      expect([0, 1, 2].map((m) => masters.filter((master) => master === m).length)).toEqual(
        Array(3).fill(count / 3),
      );
      expect(new Set(keys).size).toBe(count);
    } finally {
      one.disconnect();
      await server.stop();
    }
  });
});

it('spreads OTPs evenly, and all of one number to the same shard', () => {
  const counts = new Map<number, number>();
  for (let i = 0; i < 6_400; i++) {
    const shard = shardOf(otp(i).id, 4);
    counts.set(shard, (counts.get(shard) ?? 0) + 1);
  }
  expect([...counts.values()]).toEqual([1_600, 1_600, 1_600, 1_600]);
});

it('adds, counts, finds and removes jobs over all shards, also those of an earlier number of them', async () => {
  const options = { connection: redis, onError: () => {} };
  const four = createSendOtpQueue({ ...options, shards: 4 });
  const two = createSendOtpQueue({ ...options, shards: 2 });
  const otps = Array.from({ length: 128 }, (_, i) => otp(i));
  await four.add(...otps.slice(0, 64));
  await four.addBulk('shop', otps.slice(64));
  expect(await Promise.all(four.queues.map((queue) => queue.getWaitingCount()))).toEqual([16, 16, 16, 16]);
  expect(await two.known()).toEqual([0, 1, 2, 3]);
  expect(await two.backlog()).toMatchObject({ single: 64, bulk: 64, bulkByApp: new Map([['shop', 64]]) });
  expect(await two.withoutJob(otps as never)).toEqual([]);
  for (const { id } of otps) await two.remove(id);
  expect(await four.withoutJob(otps as never)).toHaveLength(128);
});
