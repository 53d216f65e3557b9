import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import type { HistoryFinding } from '../../src/store/history.js';
import { keys, partitionOfId } from '../../src/store/keys.js';
import { createSealer } from '../../src/store/sealing.js';
import { createStore } from '../../src/store/store.js';
import {
  admitted,
  balanceLimits,
  claimed,
  dataKey,
  operatorPauseKey,
  policy,
  sleep,
  testStore,
} from '../support/otps.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function server(appendfsync: 'always' | 'everysec') {
  const started = await startRedisServer({ appendfsync });
  const redis = new Redis(started.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  redis.on('error', () => {});
  cleanups.push(() => redis.disconnect(), started.stop);
  const findings: HistoryFinding[] = [];
  const store = createStore({
    redis,
    sealer: createSealer([dataKey]),
    policy: { ...policy, unknownResends: 0 },
    operatorPauseKey,
    balanceLimits,
    onNewHistory: (finding) => findings.push(finding),
  });
  return { server: started, redis, store, findings };
}

const restarted = async ({ server }: { server: RedisServer }) => {
  await server.kill();
  await server.restart();
};

const unknown = { kind: 'ended', otp: { status: 'unknown' } };

/** Makes `replica` follow `master`, and waits until it has all of its data. */
async function follow(replica: Redis, master: RedisServer): Promise<void> {
  await replica.replicaof('127.0.0.1', master.port);
  while (!/master_link_status:up/.test(await replica.info('replication'))) await sleep(20);
}

describe('after a restart', () => {
  it('of a Redis that may lose its last moments, what looks queued counts one unknown attempt', async () => {
    const one = await server('everysec');
    const waiting = await admitted(one.store);
    await restarted(one);
    expect(await one.store.sendAttempts.claim(waiting, 't')).toMatchObject(unknown);
    expect(one.findings).toEqual(['may_have_lost']);
  });

  it('of a Redis that syncs every write, nothing counts, and an OTP and its claim are still there', async () => {
    const one = await server('always');
    const [waiting, underWay] = [await admitted(one.store), await admitted(one.store)];
    await claimed(one.store, underWay);
    await restarted(one);
    expect(await one.store.sendAttempts.claim(waiting, 't')).toMatchObject({ kind: 'claimed' });
    expect(await one.store.sendAttempts.claim(underWay, 't')).toMatchObject({ kind: 'in_flight' });
    expect(one.findings).toEqual(['whole']);
  });

  it('what was admitted since then counts nothing, and a later one is found again', async () => {
    const one = await server('everysec');
    await admitted(one.store);
    await restarted(one);
    await sleep(2_100);
    const fresh = await admitted(one.store);
    expect(await one.store.sendAttempts.claim(fresh, 't')).toMatchObject({ kind: 'claimed' });
    const waiting = await admitted(one.store);
    await restarted(one);
    expect(await one.store.sendAttempts.claim(waiting, 't')).toMatchObject(unknown);
  });

  it('a read shows at once that an OTP may have been sent, before anybody noted the restart', async () => {
    const one = await server('everysec');
    const id = await admitted(one.store, { sendWithinSeconds: 0.4 });
    await restarted(one);
    await sleep(400);
    expect(await one.store.otps.find('shop', id)).toMatchObject({ status: 'unknown' });
  });
});

describe('after a failover', () => {
  it('nothing is taken for whole, whatever the new master syncs', async () => {
    const [one, two] = [await server('always'), await server('always')];
    const waiting = await admitted(one.store);
    await follow(two.redis, one.server);
    await two.redis.replicaof('NO', 'ONE');
    expect(await two.store.sendAttempts.claim(waiting, 't')).toMatchObject(unknown);
    expect(two.findings).toEqual(['may_have_lost']);
  });

  it('back to a former master that never restarted, a forgotten claim is noticed on the same connection', async () => {
    const [one, two] = [await server('always'), await server('always')];
    const id = await admitted(one.store);
    await follow(two.redis, one.server);
    // The claim reaches the first master alone; then the second one's data, which lacks it, comes back to it.
    await two.redis.replicaof('NO', 'ONE');
    await claimed(one.store, id);
    await follow(one.redis, two.server);
    await one.redis.replicaof('NO', 'ONE');
    expect(await one.store.sendAttempts.claim(id, 'again')).toMatchObject(unknown);
  });
});

it('a master that changes its replication id because it has no replica any more has lost nothing', async () => {
  const [one, two] = [await server('everysec'), await server('everysec')];
  await one.redis.config('SET', 'repl-backlog-ttl', 1);
  const id = await admitted(one.store);
  const idOf = async () => /master_replid:(\w+)/.exec(await one.redis.info('replication'))?.[1];
  await follow(two.redis, one.server);
  const before = await idOf();
  await two.redis.replicaof('NO', 'ONE');
  while ((await idOf()) === before) await sleep(50);
  expect(await one.store.sendAttempts.claim(id, 't')).toMatchObject({ kind: 'claimed' });
  expect(one.findings).toEqual(['whole']);
});

it('a history is noted in the same step as the first OTP of its partition', async () => {
  const one = await server('always');
  const id = await admitted(one.store);
  const history = await one.redis.hgetall(keys.history(partitionOfId(id) ?? ''));
  expect(history).toEqual({ id: expect.stringMatching(/^[0-9a-f]{40}$/), run: expect.any(String) });
  expect(await testStore(one.redis).sendAttempts.claim(id, 't')).toMatchObject({ kind: 'claimed' });
});
