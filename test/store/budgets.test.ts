import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OtpRequest } from '../../src/otp/otp.js';
import { keys } from '../../src/store/keys.js';
import { type Policy, wantedEvents } from '../../src/store/script.js';
import type { Store } from '../../src/store/store.js';
import {
  accepted,
  claimed,
  encryptionKey,
  number,
  refused,
  rejected,
  request,
  testStore,
  unknown,
  unsent,
} from '../support/otps.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;

beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
});
afterEach(() => {
  vi.useRealTimers();
});

const storeWith = (policy: Partial<Policy>) =>
  testStore(clock.redis, { maxResendsAfterUnknown: 0, ...policy });
let nth = 0;
const ask = (store: Store, overrides: Partial<OtpRequest> = {}) =>
  store.otps.admit(request({ to: number(`01230${String(nth++).padStart(5, '0')}`), ...overrides }), null);
async function admittedId(store: Store, overrides: Partial<OtpRequest> = {}): Promise<string> {
  const admission = await ask(store, overrides);
  if (admission.kind !== 'created') throw new Error(admission.kind);
  return admission.otp.id;
}
/** Credits of the day that are used, once what was given back elsewhere is collected. */
async function used(store: Store, app = 'shop'): Promise<number> {
  await store.budgets.collect();
  const [day] = await store.budgets.read([{ name: app, limits: {} }]);
  return day?.used ?? Number.NaN;
}
const events = async (store: Store) => (await store.events.read()).map(({ event }) => event);

describe('the budget of an app', () => {
  it('admits exactly as many credits as it has, however many ask at once', async () => {
    const store = storeWith({ creditsPerDay: 100 });
    const all = await Promise.all(Array.from({ length: 300 }, () => ask(store)));
    expect(all.filter(({ kind }) => kind === 'created')).toHaveLength(100);
    expect(await used(store)).toBe(100);
    expect(await ask(store, { app: 'bank' })).toMatchObject({ kind: 'created' });
  });

  it('counts what a message costs, and leaves credits to one that costs less', async () => {
    const store = storeWith({ creditsPerDay: 5 });
    expect(await ask(store, { credits: 3 })).toMatchObject({ kind: 'created' });
    expect(await ask(store, { credits: 3 })).toMatchObject(refused('app_budget_exceeded'));
    expect(await ask(store, { credits: 2 })).toMatchObject({ kind: 'created' });
  });

  it('refuses until the day or the month of its time zone ends, whichever is later', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2126-11-29T15:59:00Z') });
    const store = storeWith({ creditsPerDay: 2, creditsPerMonth: 3 });
    await admittedId(store);
    await admittedId(store);
    expect(await ask(store)).toMatchObject(
      refused('app_budget_exceeded', { reason: 'day_budget', retryAfterMs: 60_000 }),
    );
    vi.setSystemTime(Date.parse('2126-11-29T16:00:00Z'));
    await admittedId(store);
    expect(await ask(store)).toMatchObject(
      refused('app_budget_exceeded', { reason: 'month_budget', retryAfterMs: 86_400_000 }),
    );
    vi.setSystemTime(Date.parse('2126-11-30T16:00:00Z'));
    await admittedId(store);
  });

  it('is the app’s own where it has one', async () => {
    const store = storeWith({ creditsPerDay: 1 });
    const limits = { creditsPerDay: 2 };
    await admittedId(store, { limits });
    await admittedId(store, { limits });
    expect(await ask(store, { limits })).toMatchObject(refused('app_budget_exceeded'));
    expect(await ask(store, { limits: { creditsPerDay: 0 } })).toMatchObject({ kind: 'created' });
  });

  it('is not used by test numbers, refused requests and replays', async () => {
    const store = storeWith({ creditsPerDay: 2, recipientPerDay: 1 });
    await admittedId(store, { to: number('0123456789') });
    const idempotency = { endpoint: 'POST /v1/otps', key: 'k', body: '{}' };
    const same = request({ to: number('0123456788') });
    expect(await store.otps.admit(same, idempotency)).toMatchObject({ kind: 'created' });
    expect(await store.otps.admit(same, idempotency)).toMatchObject({ kind: 'replayed' });
    expect(await ask(store, { to: number('0123456789') })).toMatchObject(refused('recipient_rate_limited'));
    expect(await ask(store, { isTest: true, credits: 0 })).toMatchObject({ kind: 'created' });
    expect(await used(store)).toBe(2);
  });

  it('outlives the retention of OTPs and a new encryption key', async () => {
    const store = storeWith({ creditsPerDay: 1, retentionMs: 1 });
    await store.sendAttempts.settle(await claimed(store, await admittedId(store)), accepted());
    const rotated = testStore(clock.redis, { creditsPerDay: 1 }, [randomBytes(32), encryptionKey]);
    expect(await ask(rotated)).toMatchObject(refused('app_budget_exceeded'));
    const [day = ''] = (await redis.keys('*:budget:*')).sort();
    expect(await redis.pttl(day)).toBeGreaterThan(86_400_000);
  });
});

describe('credits of an OTP', () => {
  it.each([
    ['that iSMS refused', rejected, 0],
    ['that was sent', accepted(), 1],
    ['whose outcome is unknown', unknown, 1],
    ['that waits for a retry', unsent, 1],
  ])('%s: %s, used %d', async (_, outcome, credits) => {
    const store = storeWith({ creditsPerDay: 10 });
    const claim = await claimed(store, await admittedId(store));
    for (let i = 0; i < 3; i++) await store.sendAttempts.settle(claim, outcome);
    expect(await used(store)).toBe(credits);
  });

  it('come back once when it expires unsent, or is cancelled before its first call', async () => {
    const store = storeWith({ creditsPerDay: 10 });
    const expires = await admittedId(store, { sendDeadlineSeconds: 10 });
    const cancelled = await admittedId(store, { credits: 2 });
    expect(await used(store)).toBe(3);
    for (let i = 0; i < 3; i++) await store.otps.cancel('shop', cancelled);
    expect(await used(store)).toBe(1);
    await clock.advance(10_000);
    for (let i = 0; i < 3; i++) await store.sendAttempts.sweep();
    expect((await store.otps.find('shop', expires))?.status).toBe('expired');
    expect(await used(store)).toBe(0);
  });

  it('stay used when it is cancelled during its call, or after it, or when its code expires', async () => {
    const store = storeWith({ creditsPerDay: 10 });
    const during = await admittedId(store);
    const claim = await claimed(store, during);
    await store.otps.cancel('shop', during);
    await store.sendAttempts.settle(claim, accepted());
    const after = await admittedId(store);
    await store.sendAttempts.settle(await claimed(store, after), accepted());
    await store.otps.cancel('shop', after);
    const expires = await admittedId(store, { ttlSeconds: 30 });
    await store.sendAttempts.settle(await claimed(store, expires), accepted());
    await clock.advance(60_000);
    await store.sendAttempts.sweep();
    expect(await used(store)).toBe(3);
  });

  it('stay used when an earlier call may have sent an SMS: its outcome is unknown, or Redis may have lost it', async () => {
    const store = storeWith({ creditsPerDay: 10, maxResendsAfterUnknown: 1 });
    const tried = await admittedId(store);
    await store.sendAttempts.settle(await claimed(store, tried), unknown);
    const waiting = await admittedId(store);
    await store.noteRestore();
    for (const id of [tried, waiting]) {
      await store.otps.cancel('shop', id);
      expect((await store.otps.find('shop', id))?.status).toBe('cancelled');
    }
    expect(await used(store)).toBe(2);
  });

  it('come back when the batch of a waiting line is cancelled', async () => {
    const store = storeWith({ creditsPerDay: 10 });
    const batch = (await store.batches.open('shop', null)) ?? '';
    const asked = request({ to: number('0123456700') });
    const [id] = store.batches.newIds([{ request: asked, text: '' }]);
    if (!id) throw new Error('no id');
    await store.otps.admitMany([{ request: asked, reserved: { batch, ...id } }]);
    expect(await used(store)).toBe(1);
    await store.batches.saveLineIds({ batch, app: 'shop' }, 0, [{ id: id.id, request: asked }]);
    await store.batches.cancel('shop', `batch_${batch}`);
    await store.waitingLines.release(batch, 10, await store.waitingLines.count(batch));
    expect(await used(store)).toBe(0);
  });

  it('are reserved again with a record that Redis lost, and come back once', async () => {
    const store = storeWith({ creditsPerDay: 10 });
    const id = await admittedId(store);
    const claim = await claimed(store, id);
    await redis.del(keys.recordOfId(id));
    for (const key of await redis.keys('*:budget:*')) await redis.del(key);
    await store.sendAttempts.settle(claim, accepted());
    await store.sendAttempts.settle(claim, accepted());
    const lost = await redis.keys('*:budget:*');
    // On a cluster they are kept elsewhere, so they are not lost with the record.
    if (!redis.isCluster) expect(await used(store)).toBe(1);
    else expect(lost).toEqual([]);
  });
});

describe('events of a budget', () => {
  it('tell once that 80 % are used, and once that all are, or that one more is refused', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2126-11-29T15:59:00Z') });
    const store = storeWith({ creditsPerDay: 10, events: wantedEvents(['budget.low', 'budget.spent']) });
    for (let i = 0; i < 7; i++) await admittedId(store);
    expect(await events(store)).toEqual([]);
    const eighth = await admittedId(store);
    const about = { app: 'shop', period: 'day', budget: 10, endsAt: '2126-11-29T16:00:00.000Z' };
    const low = { type: 'budget.low', about: { ...about, used: 8 } };
    expect(await events(store)).toMatchObject([low]);
    await store.otps.cancel('shop', eighth);
    await store.budgets.collect();
    for (let i = 0; i < 2; i++) await admittedId(store);
    expect(await ask(store, { credits: 2 })).toMatchObject(refused('app_budget_exceeded'));
    await ask(store);
    await ask(store);
    expect(await events(store)).toMatchObject([low, { type: 'budget.spent', about }]);
  });
});
