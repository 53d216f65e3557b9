import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { hashSlot, partitions } from '../../src/otp/otp-id.js';
import { startRedisServer } from '../support/redis-server.js';

it('spreads the partitions evenly over the slots of a cluster', async () => {
  const server = await startRedisServer({ cluster: true });
  const redis = new Redis(server.url);
  try {
    const slots = await Promise.all(partitions.map((tag) => redis.cluster('KEYSLOT', `isms:{${tag}}:due`)));
    expect(slots.map((slot) => Math.floor(Number(slot) / 256))).toEqual(partitions.map((_, i) => i));
    expect(partitions).toHaveLength(64);
    expect(partitions.map(hashSlot)).toEqual(slots);
  } finally {
    redis.disconnect();
    await server.stop();
  }
});
