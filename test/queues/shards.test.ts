import { describe, expect, it } from 'vitest';
import { hashSlot, newOtpId, partitions, slotCount } from '../../src/otp/otp-id.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { shardName, shardOf } from '../../src/queues/shards.js';
import { number } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const otp = (i: number) => ({ id: newOtpId(partitions[i % 64] ?? ''), app: 'shop', to: number() });

const masterOf = (slot: number, masters: number) => Math.floor((slot * masters) / slotCount);
const tagOfShard = (n: number) => /\{(\w+)\}/.exec(shardName(n).prefix)?.[1] ?? '';

describe('the slots of shards', () => {
  it.each([
    [3, 3],
    [6, 3],
    [9, 3],
    [12, 3],
    [18, 6],
    [9, 9],
    [18, 9],
  ])('of %d shards load %d masters equally', (count, masters) => {
    const slots = Array.from({ length: count }, (_, n) => hashSlot(tagOfShard(n)));
    const perMaster = Array.from({ length: masters }, (_, m) => {
      return slots.filter((slot) => masterOf(slot, masters) === m).length;
    });
    expect(perMaster).toEqual(Array(masters).fill(count / masters));
    expect(new Set(slots).size).toBe(count);
  });
});

describe('the shard of an OTP', () => {
  it.each([1, 3, 4, 6, 9, 64])('of %d holds as many partitions as any other, or one more', (count) => {
    const shards = partitions.map((tag) => shardOf(count)(newOtpId(tag)));
    const counts = Array.from({ length: count }, (_, n) => shards.filter((shard) => shard === n).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  });

  it.each([
    [3, 3],
    [6, 3],
    [12, 3],
    [18, 6],
    [9, 9],
  ])('of %d is on the master of its record, of %d', (count, masters) => {
    for (const tag of partitions) {
      const shard = shardOf(count)(newOtpId(tag));
      expect(masterOf(hashSlot(tagOfShard(shard)), masters)).toBe(masterOf(hashSlot(tag), masters));
    }
  });
});

it('the send queue adds, counts, finds and removes jobs in all shards, also those of an earlier number of shards', async () => {
  const options = { connection: redis, onError: () => {} };
  const four = createSendOtpQueue({ ...options, shards: 4 });
  const two = createSendOtpQueue({ ...options, shards: 2 });
  const otps = Array.from({ length: 128 }, (_, i) => otp(i));
  await four.add(...otps.slice(0, 64));
  await four.addBulk('batch', otps.slice(64));
  expect(await Promise.all(four.queues.map((queue) => queue.getWaitingCount()))).toEqual([16, 16, 16, 16]);
  expect(await two.known()).toEqual([0, 1, 2, 3]);
  expect(await two.backlog()).toMatchObject({ single: 64, bulk: 64 });
  expect((await two.withoutJob(otps as never)).missing).toEqual([]);
  for (const { id } of otps) await two.remove(id);
  expect((await four.withoutJob(otps as never)).missing).toHaveLength(128);
});

describe('while the master with the number of shards is away', () => {
  const away = new Proxy(redis, {
    get: (target, name) => {
      const rejecting = async () => {
        throw new Error('Connection is closed.');
      };
      const member = Reflect.get(target, name);
      if (name === 'get' || name === 'eval') return rejecting;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const queue = createSendOtpQueue({ connection: away, onError: () => {}, shards: 3 });

  it('a process knows its own shards', async () => {
    expect(await queue.known()).toEqual([0, 1, 2]);
  });

  it('jobs are added, and reported as perhaps unknown to workers', async () => {
    const there = otp(7);
    expect(await queue.add(there)).toBe(false);
    expect((await queue.withoutJob([there] as never)).missing).toEqual([]);
    expect(await createSendOtpQueue({ connection: redis, onError: () => {}, shards: 3 }).add(otp(8))).toBe(
      true,
    );
  });
});
