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

describe('the shard of an OTP', () => {
  it.each([1, 3, 4, 6, 9, 64])('of %d holds as many partitions as any other, or one more', (count) => {
    const shards = partitions.map((tag) => shardOf(count)(newOtpId(tag)));
    const counts = Array.from({ length: count }, (_, n) => shards.filter((shard) => shard === n).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  });

  it.each([3, 6, 9, 12])(
    'of %d is with the master of its record, of three, but for the two on borders',
    (count) => {
      const masterOf = (share: number) => Math.floor((share * 3) / 64);
      const shareOfTag = new Map(partitions.map((tag, i) => [tag, i]));
      const shareOfShard = (n: number) =>
        shareOfTag.get(/\{(\w\w)\}/.exec(shardName(n).prefix)?.[1] ?? '') ?? 24;
      const elsewhere = partitions.filter((tag, i) => {
        return masterOf(shareOfShard(shardOf(count)(newOtpId(tag)))) !== masterOf(i);
      });
      expect(elsewhere.length).toBeLessThanOrEqual(2);
    },
  );
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
