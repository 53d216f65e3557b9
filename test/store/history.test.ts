import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { partitionOfId } from '../../src/otp/otp-id.js';
import type { SendOutcome } from '../../src/otp/outcome.js';
import { createEncrypter } from '../../src/store/encryption.js';
import type { HistoryFinding } from '../../src/store/history.js';
import { keys } from '../../src/store/keys.js';
import { createStore, type Store } from '../../src/store/store.js';
import {
  accepted,
  admitted,
  balanceLimits,
  claimed,
  encryptionKey,
  number,
  operatorPauseKey,
  policy,
  rejected,
  sleep,
  testStore,
  unsent,
} from '../support/otps.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';
import { type RedisServer, startRedisServer } from '../support/redis-server.js';

const cleanups: (() => Promise<void> | void)[] = [];
let clocks: RedisClock[] = [];
afterEach(async () => {
  clocks = [];
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function server(appendfsync: 'always' | 'everysec', maxResendsAfterUnknown = 0) {
  const started = await startRedisServer({ appendfsync });
  const redis = new Redis(started.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  redis.on('error', () => {});
  cleanups.push(() => redis.disconnect(), started.stop);
  const clock = redisClock(redis);
  clocks.push(clock);
  const findings: HistoryFinding[] = [];
  const store = createStore({
    redis: clock.redis,
    encrypter: createEncrypter([encryptionKey]),
    policy: { ...policy, maxResendsAfterUnknown },
    operatorPauseKeys: [operatorPauseKey],
    balanceLimits,
    onNewHistory: (finding) => findings.push(finding),
  });
  return { server: started, redis, clock, store, findings };
}

/** Lets time pass on every server of the test. */
async function advance(ms: number): Promise<void> {
  for (const clock of clocks) await clock.advance(ms);
}

const restarted = async ({ server, redis }: { server: RedisServer; redis: Redis }) => {
  // With everysec a busy disk may hold back what was answered, and a replica writes the data of its master to a new file
  // after the synchronisation: the test chooses what is lost.
  const written = ['aof_buffer_length:0', 'aof_rewrite_in_progress:0', 'aof_rewrite_scheduled:0'];
  const isWritten = async () => {
    const info = await redis.info('persistence');
    return written.every((line) => info.includes(line));
  };
  while (!(await isWritten())) await sleep(5);
  await server.kill();
  await server.restart();
};

const unknown = { kind: 'ended', otp: { status: 'unknown' } };

/** Makes `replica` follow `master`, and waits until it has all of its data. */
async function follow(replica: Redis, master: RedisServer): Promise<void> {
  await replica.replicaof('127.0.0.1', master.port);
  while (!/master_link_status:up/.test(await replica.info('replication'))) await sleep(20);
}

describe('a Redis that was emptied', () => {
  it('is reported once, and again after it is emptied again', async () => {
    const { redis, clock, store, findings } = await server('always');
    for (const times of [1, 2]) {
      for (const last of [1, 2, 3]) await admitted(store, { to: number(`012345678${last}`) });
      await store.lookAtHistories();
      await redis.flushdb();
      // The clock of the test is in Redis, too.
      await clock.advance(0);
      await admitted(store);
      await store.lookAtHistories();
      await store.lookAtHistories();
      expect(findings).toEqual(Array(times).fill('emptied'));
    }
  });

  it('is reported once when traffic has refilled each partition before the next check', async () => {
    const { redis, clock, store, findings } = await server('always');
    const numbers = [1, 2, 3].map((last) => number(`012345678${last}`));
    for (const to of numbers) await admitted(store, { to });
    await store.lookAtHistories();
    await redis.flushdb();
    await clock.advance(0);
    for (const to of numbers) await admitted(store, { to });
    expect(findings).toEqual(['emptied']);
    await store.lookAtHistories();
    expect(findings).toEqual(['emptied']);
  });

  it('is reported when an empty Redis replaced it', async () => {
    const one = await server('always');
    await admitted(one.store);
    await one.store.lookAtHistories();
    await one.server.kill();
    await rm(join(one.server.dir, 'appendonlydir'), { recursive: true });
    await one.server.restart();
    await one.store.lookAtHistories();
    expect(one.findings).toEqual(['emptied']);
  });

  it('is not reported if it was empty before, or came back with all data', async () => {
    const one = await server('always');
    await one.store.lookAtHistories();
    await admitted(one.store);
    await one.store.lookAtHistories();
    await restarted(one);
    await one.store.lookAtHistories();
    expect(one.findings).toEqual([]);
  });
});

describe('after Redis restarted', () => {
  it('with everysec, each queued OTP counts one presumed unknown outcome', async () => {
    const one = await server('everysec');
    const waiting = await admitted(one.store);
    await restarted(one);
    expect(await one.store.sendAttempts.claim(waiting, 't')).toMatchObject(unknown);
    expect(one.findings).toEqual(['may_have_lost']);
  });

  it('with every write synced, no OTP counts an unknown outcome, and claims remain', async () => {
    const one = await server('always');
    const [waiting, underWay] = [await admitted(one.store), await admitted(one.store)];
    await claimed(one.store, underWay);
    await restarted(one);
    expect(await one.store.sendAttempts.claim(waiting, 't')).toMatchObject({ kind: 'claimed' });
    expect(await one.store.sendAttempts.claim(underWay, 't')).toMatchObject({ kind: 'in_flight' });
    expect(one.findings).toEqual(['whole']);
  });

  it('OTPs admitted since then count no unknown outcome, and a later restart is detected too', async () => {
    const one = await server('everysec');
    await admitted(one.store);
    await restarted(one);
    const fresh = await admitted(one.store);
    expect(await one.store.sendAttempts.claim(fresh, 't')).toMatchObject({ kind: 'claimed' });
    const waiting = await admitted(one.store);
    await restarted(one);
    expect(await one.store.sendAttempts.claim(waiting, 't')).toMatchObject(unknown);
  });

  it('a read shows at once that an OTP may have been sent, before a sweep records the restart', async () => {
    const one = await server('everysec');
    const id = await admitted(one.store, { sendDeadlineSeconds: 10 });
    await restarted(one);
    await advance(10_000);
    expect(await one.store.otps.find('shop', id)).toMatchObject({ status: 'unknown' });
  });
});

describe('after a failover of Redis', () => {
  it('every write may have been lost, however the new master syncs', async () => {
    const [one, two] = [await server('always'), await server('always')];
    const waiting = await admitted(one.store);
    await follow(two.redis, one.server);
    await two.redis.replicaof('NO', 'ONE');
    expect(await two.store.sendAttempts.claim(waiting, 't')).toMatchObject(unknown);
    expect(two.findings).toEqual(['may_have_lost']);
  });

  it('to a former master that never restarted, a lost claim is detected on the same connection', async () => {
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

it('a master whose replication id changed because its last replica left has lost no writes', async () => {
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

it('the replication id is recorded before the first OTP of its partition', async () => {
  const one = await server('always');
  const id = await admitted(one.store);
  const history = await one.redis.hgetall(keys.history(partitionOfId(id) ?? ''));
  expect(history).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{40}$/),
    run: expect.any(String),
    synced: '1',
  });
  expect(await testStore(one.clock.redis).sendAttempts.claim(id, 't')).toMatchObject({ kind: 'claimed' });
});

/** The most that a Redis can lose: so long a resend waits there. */
const lossWindowMs = 3_000;

/** Two masters that know the same, as the old and the new one of a failover do; what one does, the other forgets. */
async function forked(maxResendsAfterUnknown: number) {
  const [old, next] = [
    await server('always', maxResendsAfterUnknown),
    await server('always', maxResendsAfterUnknown),
  ];
  const id = await admitted(old.store);
  await follow(next.redis, old.server);
  await next.redis.replicaof('NO', 'ONE');
  return { old, next, id };
}

describe('a loss of writes', () => {
  it('counts once for an OTP, however soon it is claimed again', async () => {
    const { next, id } = await forked(1);
    expect(await next.store.sendAttempts.claim(id, 'first')).toMatchObject({ kind: 'in_flight' });
    await advance(lossWindowMs);
    await next.store.sendAttempts.settle(await claimed(next.store, id), unsent);
    expect(await next.store.sendAttempts.claim(id, 'again')).toMatchObject({ kind: 'claimed' });
  });

  it('does not count for an OTP admitted after it, however late it is recorded', async () => {
    const { next } = await forked(0);
    const fresh = await admitted(next.store);
    expect(await next.store.sendAttempts.claim(fresh, 't')).toMatchObject({ kind: 'claimed' });
  });

  it('is recorded by a sweep before its traces expire', async () => {
    const { next, id } = await forked(0);
    await next.store.sendAttempts.sweep();
    await restarted(next);
    expect(await next.store.sendAttempts.claim(id, 't')).toMatchObject(unknown);
  });

  it('during a sweep hides no OTP whose job may be missing', async () => {
    const one = await server('always');
    const waiting = await admitted(one.store);
    await admitted(one.store, { sendDeadlineSeconds: 10 });
    await one.redis.zadd(keys.due(partitionOfId(waiting) ?? ''), 1, waiting);
    await restarted(one);
    await advance(10_000);
    const { queued } = await one.store.sendAttempts.sweep();
    expect(queued.map((otp) => otp.id)).toEqual([waiting]);
  });

  it('counts although Redis syncs every write since then', async () => {
    const one = await server('everysec');
    const id = await admitted(one.store);
    await restarted(one);
    await one.redis.config('SET', 'appendfsync', 'always');
    expect(await one.store.sendAttempts.claim(id, 't')).toMatchObject(unknown);
  });
});

describe('a resend after an unknown outcome', () => {
  const isHeldBack = async (store: Store, id: string) => {
    await store.sendAttempts.settle(await claimed(store, id), { kind: 'unknown', reason: 'timeout' });
    const result = await store.sendAttempts.claim(id, 'resend');
    return result.kind === 'in_flight' && result.remainingMs === lossWindowMs;
  };

  it('waits until Redis cannot lose that outcome: with everysec, or with a replica', async () => {
    const one = await server('everysec', 1);
    expect(await isHeldBack(one.store, await admitted(one.store))).toBe(true);
    const [two, replica] = [await server('always', 1), await server('always', 1)];
    const id = await admitted(two.store);
    await follow(replica.redis, two.server);
    expect(await isHeldBack(two.store, id)).toBe(true);
    // A replica that lost its link a moment ago can still be promoted.
    const other = await admitted(two.store);
    await replica.redis.replicaof('NO', 'ONE');
    while (!/connected_slaves:0/.test(await two.redis.info('replication'))) await sleep(10);
    expect(await isHeldBack(two.store, other)).toBe(true);
  });

  it('does not wait on a single Redis that syncs every write', async () => {
    const one = await server('always', 1);
    expect(await isHeldBack(one.store, await admitted(one.store))).toBe(false);
  });

  it('is not made in the step that counts the loss', async () => {
    const one = await server('everysec', 1);
    const id = await admitted(one.store);
    await restarted(one);
    await advance(lossWindowMs);
    expect(await one.store.sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight' });
    const record = JSON.parse((await one.redis.get(keys.record(partitionOfId(id) ?? '', id))) ?? 'null');
    expect(record).toMatchObject({ status: 'queued', unknowns: 1, mayHaveSent: true });
  });
});

it('an OTP lost with its job during a call is swept soon', async () => {
  const one = await server('always');
  const id = await admitted(one.store);
  const claim = await claimed(one.store, id);
  await one.redis.flushall();
  await advance(0);
  await one.store.sendAttempts.settle(claim, unsent);
  const next = Number(await one.redis.zscore(keys.due(partitionOfId(id) ?? ''), id));
  expect(next - one.clock.now()).toBeLessThanOrEqual(10_000);
  const swept = await one.store.sendAttempts.sweep();
  expect([swept.unreadable, swept.failures]).toEqual([[], []]);
});

it('an OTP lost with its job is still swept soon after its outcome was recorded twice', async () => {
  const one = await server('everysec', 1);
  const id = await admitted(one.store);
  const claim = await claimed(one.store, id);
  await one.redis.flushall();
  await advance(0);
  for (let n = 0; n < 2; n++) await one.store.sendAttempts.settle(claim, unsent);
  const next = Number(await one.redis.zscore(keys.due(partitionOfId(id) ?? ''), id));
  expect(next - one.clock.now()).toBeLessThanOrEqual(10_000);
});

describe('an outcome whose claim was lost', () => {
  /** A second attempt is under way on the old master, after a first one that ended as `first`; the new one knows none. */
  const secondOf = async (first: SendOutcome) => {
    const fork = await forked(1);
    await fork.old.store.sendAttempts.settle(await claimed(fork.old.store, fork.id), first);
    if (first.kind === 'unknown') await advance(lossWindowMs);
    return { ...fork, claim: await claimed(fork.old.store, fork.id) };
  };
  const lost = { kind: 'unknown', reason: 'timeout' } as const;

  it('restores the counts of its attempt, so that two resends allow no fourth call', async () => {
    const { old, next, id } = await forked(2);
    for (let n = 0; n < 2; n++) {
      await old.store.sendAttempts.settle(await claimed(old.store, id), lost);
      await advance(lossWindowMs);
    }
    await next.store.sendAttempts.settle(await claimed(old.store, id), lost);
    expect(await next.store.sendAttempts.claim(id, 't')).toMatchObject(unknown);
  });

  it('does not end as failed when an earlier attempt may have sent an SMS', async () => {
    const { next, id, claim } = await secondOf(lost);
    await next.store.sendAttempts.settle(claim, rejected);
    expect(await next.store.otps.find('shop', id)).toMatchObject({ status: 'unknown' });
  });

  it('does not replace the claim of a newer attempt in progress', async () => {
    const { next, id, claim } = await secondOf(unsent);
    expect(await next.store.sendAttempts.claim(id, 'b')).toMatchObject({ kind: 'in_flight' });
    await advance(lossWindowMs);
    const newer = await claimed(next.store, id);
    // However the clocks of the two masters differ.
    for (const aheadMs of [0, 60_000]) {
      await next.store.sendAttempts.settle({ ...claim, claimedAt: claim.claimedAt + aheadMs }, unsent);
      expect(await next.store.sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight' });
    }
    await next.store.sendAttempts.settle(newer, accepted(2));
    expect(await next.store.otps.find('shop', id)).toMatchObject({ status: 'sent', uuid: 'uuid-2' });
  });
});
