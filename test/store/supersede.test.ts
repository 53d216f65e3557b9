import { expect, it } from 'vitest';
import { keys } from '../../src/store/keys.js';
import {
  accepted,
  admitted,
  claimed,
  number,
  type request,
  sent,
  testStore,
  unknown,
} from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const clock = redisClock(await connect());
const store = testStore(clock.redis, { retentionMs: 3_600_000, maxResendsAfterUnknown: 0 });
const find = (id: string) => store.otps.find('shop', id);
const statusOf = async (id: string) => (await find(id))?.status;

/** A moment later, an OTP that replaces the earlier ones of its number and purpose. */
async function replacement(overrides: Parameters<typeof request>[0] = {}): Promise<string> {
  await clock.advance(1);
  return await admitted(store, { replacesEarlier: true, ...overrides });
}

it('an OTP that replaces earlier ones cancels them in the step that admits it', async () => {
  const to = number('0123456750');
  const [code, queued, uncertain] = [
    await sent(store, { to }),
    await admitted(store, { to }),
    await admitted(store, { to }),
  ];
  await store.sendAttempts.settle(await claimed(store, uncertain), unknown);
  const underWay = await admitted(store, { to });
  const claim = await claimed(store, underWay);
  const again = await replacement({ to });
  expect(await Promise.all([code, queued, uncertain, underWay].map(statusOf))).toEqual(
    Array.from({ length: 4 }, () => 'cancelled'),
  );
  expect(await store.sendAttempts.claim(queued, 't')).toMatchObject({
    kind: 'ended',
    otp: { status: 'cancelled' },
  });
  await store.sendAttempts.settle(claim, accepted());
  expect(await find(underWay)).toMatchObject({ status: 'cancelled', uuid: 'uuid-1' });
  expect(await statusOf(again)).toBe('queued');
});

it('a right code that was being checked while its OTP was replaced does not verify it', async () => {
  const to = number('0123456751');
  const id = await sent(store, { to });
  const { verificationAttempts } = store;
  const verification = { app: 'shop', id, token: 't', replay: null };
  expect(await verificationAttempts.admit(verification)).toMatchObject({ kind: 'admitted' });
  await replacement({ to });
  expect(await verificationAttempts.settle(verification, 'correct')).toMatchObject({ kind: 'otp_cancelled' });
});

it('an OTP replaces only those of its own app, number and purpose, and none that came after it', async () => {
  const to = number('0123456752');
  const others = [
    await sent(store, { to, app: 'bank' }),
    await sent(store, { to, purpose: 'payment' }),
    await sent(store, { to: number('0123456753') }),
  ];
  await replacement({ to });
  await clock.advance(1);
  const later = await sent(store, { to });
  expect((await store.otps.find('bank', others[0] ?? ''))?.status).toBe('sent');
  expect(await Promise.all([...others.slice(1), later].map(statusOf))).toEqual(['sent', 'sent', 'sent']);
});

it('an OTP that ended before it was replaced stays as it was', async () => {
  const to = number('0123456754');
  const id = await sent(store, { to, ttlSeconds: 60 });
  await clock.advance(60_000);
  await replacement({ to });
  expect(await statusOf(id)).toBe('expired');
});

it('erasing what is kept about a person forgets when OTPs were replaced', async () => {
  const to = number('0123456755');
  const known = () => clock.redis.keys(keys.superseded('*', '*'));
  const before = await known();
  await admitted(store, { to });
  await replacement({ to });
  expect(await known()).toHaveLength(before.length + 1);
  await store.dataSubjects.erase(to, await store.dataSubjects.find(to));
  expect((await known()).sort()).toEqual(before.sort());
});
