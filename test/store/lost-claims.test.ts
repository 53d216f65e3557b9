import { describe, expect, it } from 'vitest';
import { partitionOfId } from '../../src/otp/otp-id.js';
import { keys } from '../../src/store/keys.js';
import { admitted, claimed, number, request, testStore, unknown, unsent } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const clock = redisClock(await connect());
const { redis } = clock;
const store = testStore(redis);
const { sendAttempts } = store;
const leaseMs = 30_000;
/** A little more than the longest time of which Redis can lose all writes. */
const lossWindowMs = 3_100;

const historyOf = (id: string) => keys.history(partitionOfId(id) ?? '');
const recordOf = async (id: string) => JSON.parse((await redis.get(keys.recordOfId(id))) ?? 'null');
const find = (id: string) => store.otps.find('shop', id);
/** Redis comes back without the last writes of this OTP, and may lose some again. */
const lose = async (id: string, record?: string | null) => {
  if (record) await redis.set(keys.recordOfId(id), record);
  await redis.hset(historyOf(id), 'synced', '0');
  await redis.hincrby(historyOf(id), 'losses', 1);
};

describe('an OTP whose claim Redis may have forgotten', () => {
  it('makes a first call that uses no try, after the time that Redis can lose', async () => {
    const id = await admitted(store);
    await lose(id);
    expect(await sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight', remainingMs: 3_000 });
    await clock.advance(lossWindowMs);
    const claim = await claimed(store, id);
    expect(claim).toMatchObject({ tries: 0, resends: 1 });
    expect(await sendAttempts.settle(claim, unsent)).toMatchObject({ tries: 1 });
    expect(await claimed(store, id)).toMatchObject({ tries: 1, resends: 1 });
  });

  it('has used its one resend: a call without an outcome is its last', async () => {
    const id = await admitted(store);
    await lose(id);
    await sendAttempts.claim(id, 't');
    await clock.advance(lossWindowMs);
    await sendAttempts.settle(await claimed(store, id), unknown);
    expect(await find(id)).toMatchObject({ status: 'unknown' });
  });

  it('is sent after several losses that passed before anyone claimed it', async () => {
    const id = await admitted(store);
    for (let n = 0; n < 3; n++) await lose(id);
    expect(await sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight' });
    await clock.advance(lossWindowMs);
    expect(await claimed(store, id)).toMatchObject({ tries: 0 });
  });
});

it('an OTP whose job may be missing is looked for soon, though a worker that Redis forgot claims it', async () => {
  const id = await admitted(store);
  await lose(id);
  await sendAttempts.claim(id, 't');
  const next = Number(await redis.zscore(keys.due(partitionOfId(id) ?? ''), id));
  expect(next).toBe(clock.now() + 10_000);
});

describe('a loss counts no second unknown', () => {
  it('for an attempt that was under way and ran out', async () => {
    const id = await admitted(store);
    await claimed(store, id);
    await lose(id);
    await clock.advance(leaseMs);
    expect(await sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight', remainingMs: 3_000 });
    await clock.advance(lossWindowMs);
    expect(await claimed(store, id)).toMatchObject({ tries: 1, resends: 1 });
  });

  it('for a forgotten attempt whose outcome is known to be unknown', async () => {
    const id = await admitted(store);
    const before = await redis.get(keys.recordOfId(id));
    const claim = await claimed(store, id);
    await lose(id, before);
    await sendAttempts.settle(claim, unknown);
    await clock.advance(lossWindowMs);
    expect(await claimed(store, id)).toMatchObject({ tries: 1, resends: 1 });
  });

  it('for a forgotten attempt that had been presumed before its outcome came', async () => {
    const id = await admitted(store);
    const before = await redis.get(keys.recordOfId(id));
    const claim = await claimed(store, id);
    await lose(id, before);
    expect(await sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight' });
    await sendAttempts.settle(claim, unknown);
    expect(await recordOf(id)).toMatchObject({ status: 'queued', unknowns: 1 });
    await clock.advance(lossWindowMs);
    const resend = await claimed(store, id);
    expect(resend).toMatchObject({ tries: 1, resends: 1 });
    await sendAttempts.settle(resend, unknown);
    expect(await find(id)).toMatchObject({ status: 'unknown' });
  });
});

it('an outcome that brings back its record notes first that Redis may have lost more', async () => {
  const id = await admitted(store);
  const claim = await claimed(store, id);
  await redis.del(keys.recordOfId(id));
  await redis.hset(historyOf(id), { id: 'of before', run: 'of before', synced: '0' });
  const before = Number(await redis.hget(historyOf(id), 'losses'));
  expect(await sendAttempts.settle(claim, unsent)).toMatchObject({ otp: { status: 'queued' } });
  expect(Number(await redis.hget(historyOf(id), 'losses'))).toBe(before + 1);
});

it('an outcome that brings back its record expects later claims to be lost with it', async () => {
  const id = await admitted(store);
  const claim = await claimed(store, id);
  expect(await sendAttempts.settle(claim, unsent)).toMatchObject({ otp: { status: 'queued' } });
  await claimed(store, id);
  // The loss count is lost as well, and reaches the same number again.
  await redis.del(keys.recordOfId(id));
  await redis.hset(historyOf(id), 'synced', '0');
  expect(await sendAttempts.settle(claim, unsent)).toMatchObject({ otp: { status: 'queued' } });
  expect(await sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight', remainingMs: 3_000 });
});

it('a resend waits from when its unknown was written, however late that was', async () => {
  const id = await admitted(store);
  await redis.hset(historyOf(id), 'synced', '0');
  await claimed(store, id);
  await clock.advance(leaseMs + 10_000);
  await sendAttempts.sweep();
  expect(await recordOf(id)).toMatchObject({ status: 'queued', unknowns: 1 });
  expect(await sendAttempts.claim(id, 't')).toMatchObject({ kind: 'in_flight', remainingMs: 3_000 });
});

it('a replay is answered before the new history of its partition is noted', async () => {
  const idempotency = { endpoint: 'POST /v1/otps', key: 'a key', body: 'a body' };
  const admit = (to: string) => store.otps.admit(request({ to: number(to) }), idempotency);
  const first = await admit('0123456701');
  if (first.kind !== 'created') throw new Error(first.kind);
  await claimed(store, first.otp.id);
  await clock.advance(leaseMs);
  await redis.hset(historyOf(first.otp.id), 'id', 'an earlier one');
  const others = ['0123456702', '0123456703', '0123456704', '0123456705'];
  const answers = await Promise.all(others.map(admit));
  expect(answers.map(({ kind }) => kind)).toEqual(others.map(() => 'replayed'));
});
