import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { partitionOfId } from '../../src/otp/otp-id.js';
import { createEncrypter } from '../../src/store/encryption.js';
import { keys } from '../../src/store/keys.js';
import { createStore } from '../../src/store/store.js';
import { expireKeys, expiresAt } from '../support/expiry.js';
import {
  accepted,
  admitted,
  balanceLimits,
  claimed,
  encryptionKey,
  operatorPauseKey,
  policy,
  rejected,
  request,
  sent,
  testStore,
  unknown,
  unsent,
} from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const redis = await connect();
const clock = redisClock(redis);
const store = testStore(clock.redis);
const strict = testStore(clock.redis, { maxResendsAfterUnknown: 0 });
const recordKey = (id: string) => keys.record(partitionOfId(id) ?? '', id);
const due = (id: string) => keys.due(partitionOfId(id) ?? '');
const stored = async (id: string) => JSON.parse((await redis.get(recordKey(id))) ?? 'null');
const find = (id: string) => store.otps.find('shop', id);

describe('claim', () => {
  it('does not go on with an attempt whose time is over, though the token is its own', async () => {
    const id = await admitted(strict);
    await strict.sendAttempts.claim(id, 'slow');
    await clock.advance(policy.sendLeaseMs);
    expect(await strict.sendAttempts.claim(id, 'slow')).toMatchObject({
      kind: 'ended',
      otp: { status: 'unknown' },
    });
  });

  it('writes down what it found ended', async () => {
    const id = await admitted(strict);
    await claimed(strict, id);
    await clock.advance(policy.sendLeaseMs);
    await strict.sendAttempts.claim(id, 'redelivered');
    expect(await stored(id)).toMatchObject({ status: 'unknown', unknowns: 1 });
    expect(await redis.zscore(due(id), id)).toBeNull();
  });

  it('counts nothing against an OTP that was admitted after Redis lost something', async () => {
    await admitted(strict);
    await redis.hincrby(keys.history(partitionOfId(await admitted(strict)) ?? ''), 'losses', 1);
    expect(await strict.sendAttempts.claim(await admitted(strict), 't')).toMatchObject({ kind: 'claimed' });
  });
});

describe('settle', () => {
  it('unknown after the deadline: ends at once, with no resend', async () => {
    const id = await admitted(store, { sendDeadlineSeconds: 10 });
    const claim = await claimed(store, id);
    await clock.advance(10_000);
    await store.sendAttempts.settle(claim, unknown);
    expect(await stored(id)).toMatchObject({ status: 'unknown' });
    expect(await redis.zscore(due(id), id)).toBeNull();
  });

  it('is accepted by its claim though Redis fell back to the attempt before', async () => {
    const id = await admitted(store);
    const first = await claimed(store, id);
    const before = (await redis.get(recordKey(id))) ?? '';
    await store.sendAttempts.settle(first, unsent);
    const second = await claimed(store, id);
    await redis.set(recordKey(id), before);
    await store.sendAttempts.settle(second, accepted(2));
    expect(await stored(id)).toMatchObject({
      status: 'sent',
      uuid: 'uuid-2',
      sentBy: 2,
      claimedAt: second.claimedAt,
    });
  });
});

describe('a late outcome of an OTP that is no longer kept', () => {
  it.each([
    ['accepted', accepted()],
    ['given back', { kind: 'unsent', reason: 'stale_claim' } as const],
    ['unknown', unknown],
  ])('revives nothing (%s)', async (_, outcome) => {
    const id = await admitted(store);
    const frozen = await claimed(store, id);
    await store.otps.cancel('shop', id);
    await clock.advance(policy.sendLeaseMs + policy.retentionMs);
    await expireKeys(redis, clock.now());
    expect(await store.sendAttempts.settle(frozen, outcome)).toBeNull();
    expect(await store.sendAttempts.claim(id, 'again')).toEqual({ kind: 'missing' });
  });
});

it('an admission that arrives again, however late, changes nothing on its OTP', async () => {
  const calls: ['eval' | 'evalsha', [string, number, ...string[]]][] = [];
  const recorded = new Proxy(clock.redis, {
    get: (target, name) => {
      const member = Reflect.get(target, name);
      if (name !== 'eval' && name !== 'evalsha') return member;
      return (...args: [string, number, ...string[]]) => {
        calls.push([name, args]);
        return target[name](...args);
      };
    },
  });
  const id = await admitted(testStore(recorded));
  await store.sendAttempts.settle(await claimed(store, id), accepted());
  const [name, args] = calls.findLast((call) => call[1].join().includes(id)) ?? [];
  if (name === undefined || args === undefined) throw new Error('no call');
  await clock.redis[name](...args);
  expect(await find(id)).toMatchObject({ status: 'sent' });
});

it('a replay whose record no encryption key opens takes no other admission with it', async () => {
  const key = { endpoint: 'POST /v1/otps', key: 'unreadable', body: '{}' };
  const first = await store.otps.admit(request(), key);
  if (first.kind !== 'created') throw new Error(first.kind);
  const raw = (await redis.get(recordKey(first.otp.id))) ?? '';
  await redis.set(recordKey(first.otp.id), raw.replace('"encrypted":"', '"encrypted":"x'));
  const [replay, other] = await store.otps.admitMany([
    { request: request(), idempotency: key },
    { request: request() },
  ]);
  expect(replay).toBeInstanceOf(Error);
  expect(other).toMatchObject({ kind: 'created' });
});

it('an OTP that no encryption key opens does not hide the others from the sweeper', async () => {
  const encrypter = createEncrypter([randomBytes(32)]);
  const foreign = createStore({
    redis: clock.redis,
    encrypter,
    policy,
    operatorPauseKeys: [operatorPauseKey],
    balanceLimits,
  });
  const [closed, open] = [await admitted(foreign), await admitted(store)];
  for (const id of [closed, open]) await redis.zadd(due(id), 1, id);
  const { queued, unreadable } = await store.sendAttempts.sweep();
  expect(queued.map(({ id }) => id)).toContain(open);
  expect(unreadable).toContain(closed);
});

describe('how long a record is kept', () => {
  it('is counted from the end of a call that may outlast the deadline', async () => {
    const id = await admitted(store, { sendDeadlineSeconds: 10 });
    await claimed(store, id);
    expect((await expiresAt(redis, recordKey(id))) - clock.now()).toBeCloseTo(
      policy.retentionMs + policy.sendLeaseMs,
      -3,
    );
  });

  it('is counted from the end of the call that a cancelled OTP may still have under way', async () => {
    const id = await admitted(store);
    await claimed(store, id);
    await store.otps.cancel('shop', id);
    expect((await expiresAt(redis, recordKey(id))) - clock.now()).toBeCloseTo(
      policy.retentionMs + policy.sendLeaseMs,
      -3,
    );
  });
});

describe('what a read has shown', () => {
  const given = [
    ['rejected', rejected],
    ['proven unsent', unsent],
  ] as const;
  it.each(given)(
    'is not undone by an outcome that comes after the attempt’s time (%s)',
    async (_, outcome) => {
      const id = await admitted(strict);
      const claim = await claimed(strict, id);
      await clock.advance(policy.sendLeaseMs);
      expect(await strict.otps.find('shop', id)).toMatchObject({ status: 'unknown' });
      await strict.sendAttempts.settle(claim, outcome);
      expect(await strict.otps.find('shop', id)).toMatchObject({ status: 'unknown' });
    },
  );
});

it.each([
  ['is cut off', () => '{'],
  ['is no object', () => '"text"'],
  ['misses what the functions need', (raw: string) => raw.replace('sendDeadline', 'lost')],
  ['misses its id', (raw: string) => raw.replace('"id"', '"lost"')],
  ['misses what only we read', (raw: string) => raw.replace('"credits"', '"lost"')],
])('a broken record that %s does not hide the others from the sweeper, which names it', async (_, damage) => {
  const [broken, whole] = [await admitted(store), await admitted(store)];
  await redis.set(recordKey(broken), damage((await redis.get(recordKey(broken))) ?? ''));
  for (const id of [broken, whole]) await redis.zadd(due(id), 1, id);
  const { queued, unreadable, failures } = await store.sendAttempts.sweep();
  expect(failures).toEqual([]);
  expect(queued.map(({ id }) => id)).toContain(whole);
  expect(unreadable).toContain(broken);
});

it('an ended OTP that misses what only we read does not hide the others from the sweeper, which names it', async () => {
  const [broken, whole] = [await admitted(store, { sendDeadlineSeconds: 10 }), await admitted(store)];
  const raw = (await redis.get(recordKey(broken))) ?? '';
  await redis.set(recordKey(broken), raw.replace('"credits"', '"lost"'));
  await clock.advance(10_000);
  for (const id of [broken, whole]) await redis.zadd(due(id), 1, id);
  const { queued, unreadable, ended } = await store.sendAttempts.sweep();
  expect(queued.map(({ id }) => id)).toContain(whole);
  expect(unreadable).toContain(broken);
  expect(ended.map(({ id }) => id)).not.toContain(broken);
});

it('an OTP whose last attempt was still being decided at its expiry has expired, and is not locked', async () => {
  const id = await sent(store, { ttlSeconds: 10, maxAttempts: 1 });
  await store.verificationAttempts.admit({ app: 'shop', id, token: 'last', replay: null });
  await clock.advance(10_000 + policy.verifyLeaseMs);
  expect(await find(id)).toMatchObject({ status: 'expired' });
});

it('cancel leaves an expired OTP as it is, before the expiry is written', async () => {
  const id = await sent(store, { ttlSeconds: 10 });
  await clock.advance(10_000);
  await store.otps.cancel('shop', id);
  expect(await find(id)).toMatchObject({ status: 'expired' });
});

it('an idempotency key answers under a encryption key that was rotated out, too', async () => {
  const newer = randomBytes(32);
  const rotated = createStore({
    redis: clock.redis,
    encrypter: createEncrypter([newer, encryptionKey]),
    policy,
    operatorPauseKeys: [operatorPauseKey],
    balanceLimits,
  });
  const idempotency = { endpoint: 'POST /v1/otps', key: 'rotated', body: '{}' };
  const first = await store.otps.admit(request(), idempotency);
  const again = await rotated.otps.admit(request(), idempotency);
  expect(again).toMatchObject({ kind: 'replayed', otp: { id: 'otp' in first ? first.otp.id : '' } });
});

it('a lease is free that would last longer than asked for: it was set before Redis’s clock was set back', async () => {
  const ms = 60_000;
  expect(await store.acquireLease('hourly', ms)).toBe(true);
  expect(await store.acquireLease('hourly', ms)).toBe(false);
  await redis.pexpire(keys.lease('hourly'), 3_600_000);
  expect(await store.acquireLease('hourly', ms)).toBe(true);
  expect(await store.renewLease('held', 'a', ms)).toBe(true);
  expect(await store.renewLease('held', 'b', ms)).toBe(false);
  await redis.pexpire(keys.lease('held'), 3_600_000);
  expect(await store.renewLease('held', 'b', ms)).toBe(true);
});
