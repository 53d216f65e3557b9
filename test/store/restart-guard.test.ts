import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { keys } from '../../src/store/keys.js';
import type { RestartFinding } from '../../src/store/restart-guard.js';
import { guardRestart } from '../../src/store/restart-guard.js';
import { createSealer } from '../../src/store/sealing.js';
import { createStore } from '../../src/store/store.js';
import {
  admitted,
  balanceLimits,
  claimed,
  dataKey,
  operatorPauseKey,
  policy,
  testStore,
} from '../support/otps.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function server(appendfsync: 'always' | 'everysec'): Promise<{ server: RedisServer; redis: Redis }> {
  const started = await startRedisServer({ appendfsync });
  const redis = new Redis(started.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  redis.on('error', () => {});
  cleanups.push(() => redis.disconnect(), started.stop);
  return { server: started, redis };
}

const restarted = async ({ server }: { server: RedisServer }) => {
  await server.kill();
  await server.restart();
};

describe('guardRestart', () => {
  it('marks a restart of a Redis that may lose its last moments', async () => {
    const one = await server('everysec');
    expect(await guardRestart(one.redis)).toBe('first_seen');
    expect(await guardRestart(one.redis)).toBe('same');
    await restarted(one);
    expect(await guardRestart(one.redis)).toBe('may_have_lost');
    expect(Number(await one.redis.get(keys.rollback('3f')))).toBeGreaterThan(Date.now() - 5_000);
  });

  it('marks nothing when every write was synced', async () => {
    const one = await server('always');
    await guardRestart(one.redis);
    await restarted(one);
    expect(await guardRestart(one.redis)).toBe('durable');
    expect(await one.redis.get(keys.rollback('00'))).toBeNull();
  });
});

it('the first claim after a restart is judged only after the restart was found', async () => {
  const one = await server('everysec');
  const findings: RestartFinding[] = [];
  const store = createStore({
    redis: one.redis,
    sealer: createSealer([dataKey]),
    policy: { ...policy, unknownResends: 0 },
    operatorPauseKey,
    balanceLimits,
    onRedisRestart: (finding) => findings.push(finding),
  });
  await claimed(store, await admitted(store));
  const waiting = await admitted(store);
  await restarted(one);
  expect(await store.sendAttempts.claim(waiting, 't')).toMatchObject({
    kind: 'ended',
    otp: { status: 'unknown' },
  });
  expect(findings).toEqual(['first_seen', 'may_have_lost']);
});

it('an OTP and its claim survive a killed Redis that syncs every write', async () => {
  const one = await server('always');
  const store = testStore(one.redis);
  const id = await admitted(store);
  await claimed(store, id);
  await restarted(one);
  expect(await store.sendAttempts.claim(id, 'other')).toMatchObject({ kind: 'in_flight' });
});
