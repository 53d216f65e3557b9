import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Verification } from '../../src/store/verification-attempts.js';
import { accepted, admitted, claimed, policy, rejected, sent, testStore, unknown } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const redis = await connect();
const clock = redisClock(redis);
const store = testStore(clock.redis);
const { verificationAttempts } = store;

const attempt = (id: string, replay: Verification['replay'] = null): Verification => ({
  app: 'shop',
  id,
  token: randomUUID(),
  replay,
});
const find = (id: string) => store.otps.find('shop', id);

/** Admits an attempt and settles it. */
async function tried(id: string, outcome: 'correct' | 'incorrect' | 'unsent' | 'unavailable') {
  const verification = attempt(id);
  const admission = await verificationAttempts.admit(verification);
  if (admission.kind !== 'admitted') return admission;
  return await verificationAttempts.settle(verification, outcome);
}

describe('a verification', () => {
  it('with the right code verifies the OTP, once', async () => {
    const id = await sent(store);
    expect(await tried(id, 'correct')).toMatchObject({ kind: 'verified', otp: { status: 'verified' } });
    expect(await tried(id, 'correct')).toEqual({ kind: 'already_verified' });
  });

  it('with a wrong code counts down, and locks with the last', async () => {
    const id = await sent(store, { maxAttempts: 2 });
    expect(await tried(id, 'incorrect')).toMatchObject({ kind: 'incorrect', otp: { attemptsRemaining: 1 } });
    expect(await tried(id, 'incorrect')).toMatchObject({ kind: 'incorrect', otp: { attemptsRemaining: 0 } });
    expect(await find(id)).toMatchObject({ status: 'locked' });
    expect(await tried(id, 'correct')).toEqual({ kind: 'attempts_exhausted' });
  });

  it('that never reached the provider gives its attempt back', async () => {
    const id = await sent(store);
    expect(await tried(id, 'unsent')).toMatchObject({ kind: 'unavailable', otp: { attemptsRemaining: 5 } });
  });

  it('without an answer stays spent, and does not verify the OTP', async () => {
    const id = await sent(store, { maxAttempts: 1 });
    expect(await tried(id, 'unavailable')).toMatchObject({ kind: 'unavailable', otp: { status: 'locked' } });
  });

  it('asks the provider at most maxAttempts times, and lets one in, of 200 at once', async () => {
    const id = await sent(store);
    const verifications = Array.from({ length: 200 }, () => attempt(id));
    const admissions = await Promise.all(verifications.map(verificationAttempts.admit));
    const through = verifications.filter((_, i) => admissions[i]?.kind === 'admitted');
    expect(through).toHaveLength(5);
    expect(admissions.filter(({ kind }) => kind === 'verification_in_progress')).toHaveLength(195);
    const settled = await Promise.all(through.map((one) => verificationAttempts.settle(one, 'correct')));
    expect(settled.filter(({ kind }) => kind === 'verified')).toHaveLength(1);
    expect(settled.filter(({ kind }) => kind === 'already_verified')).toHaveLength(4);
  });

  it('may finish after the expiry when it was admitted before', async () => {
    const id = await sent(store, { ttlSeconds: 10 });
    const verification = attempt(id);
    await verificationAttempts.admit(verification);
    await clock.advance(10_000);
    expect(await find(id)).toMatchObject({ status: 'expired' });
    expect(await verificationAttempts.settle(verification, 'correct')).toMatchObject({ kind: 'verified' });
  });

  it('no longer counts once the OTP was cancelled meanwhile', async () => {
    const id = await sent(store);
    const verification = attempt(id);
    await verificationAttempts.admit(verification);
    await store.otps.cancel('shop', id);
    expect(await verificationAttempts.settle(verification, 'correct')).toEqual({ kind: 'otp_cancelled' });
    expect(await find(id)).toMatchObject({ status: 'cancelled' });
  });

  it('whose answer came after its lease lapsed does not verify the OTP', async () => {
    const id = await sent(store, { maxAttempts: 1 });
    const verification = attempt(id);
    await verificationAttempts.admit(verification);
    await clock.advance(policy.verifyLeaseMs);
    expect(await find(id)).toMatchObject({ status: 'locked' });
    const settled = await verificationAttempts.settle(verification, 'correct');
    expect(settled.kind).toBe('unavailable');
    expect(await find(id)).toMatchObject({ status: 'locked' });
  });

  it('counts once and verifies once when its commands arrive twice after a reconnect', async () => {
    const id = await sent(store);
    const verification = attempt(id);
    await verificationAttempts.admit(verification);
    expect(await verificationAttempts.admit(verification)).toMatchObject({ otp: { attemptsRemaining: 4 } });
    for (let i = 0; i < 2; i++) {
      expect(await verificationAttempts.settle(verification, 'correct')).toMatchObject({ kind: 'verified' });
    }
    const given = attempt(await sent(store));
    await verificationAttempts.admit(given);
    for (let i = 0; i < 2; i++) {
      const settled = await verificationAttempts.settle(given, 'unsent');
      expect(settled).toMatchObject({ kind: 'unavailable', otp: { attemptsRemaining: 5 } });
    }
  });

  it('is locked by the sweeper once its last lease lapsed, with no process left to settle it', async () => {
    const id = await sent(store, { maxAttempts: 1 });
    await verificationAttempts.admit(attempt(id));
    await clock.advance(policy.verifyLeaseMs);
    await store.sendAttempts.sweep();
    const [key] = await redis.keys(`*}:${id}`);
    expect(JSON.parse((await redis.get(key ?? '')) ?? '')).toMatchObject({ status: 'locked' });
  });

  it('is not locked while the last attempts are being decided', async () => {
    const id = await sent(store, { maxAttempts: 2 });
    const [first, second] = [attempt(id), attempt(id)];
    await verificationAttempts.admit(first);
    await verificationAttempts.admit(second);
    await verificationAttempts.settle(first, 'incorrect');
    expect(await verificationAttempts.admit(attempt(id))).toEqual({ kind: 'verification_in_progress' });
    expect(await verificationAttempts.settle(second, 'correct')).toMatchObject({ kind: 'verified' });
  });
});

describe('a lost 200', () => {
  const replay = { key: 'k', code: '123456' };

  it('is answered again to the same key and code, and to no other', async () => {
    const id = await sent(store);
    const verification = attempt(id, replay);
    await verificationAttempts.admit(verification);
    await verificationAttempts.settle(verification, 'correct');
    expect(await verificationAttempts.admit(attempt(id, replay))).toMatchObject({ kind: 'replayed' });
    const others = [null, { ...replay, code: '123457' }, { ...replay, key: 'other' }];
    for (const other of others) {
      expect(await verificationAttempts.admit(attempt(id, other))).toEqual({ kind: 'already_verified' });
    }
  });

  it('is answered again for 60 seconds, no longer', async () => {
    const id = await sent(store);
    const verification = attempt(id, replay);
    await verificationAttempts.admit(verification);
    await verificationAttempts.settle(verification, 'correct');
    await clock.advance(59_999);
    expect(await verificationAttempts.admit(attempt(id, replay))).toMatchObject({ kind: 'replayed' });
    await clock.advance(1);
    expect(await verificationAttempts.admit(attempt(id, replay))).toEqual({ kind: 'already_verified' });
  });
});

describe('no attempt is admitted', () => {
  it('of another app’s OTP, as if there were none', async () => {
    const id = await sent(store);
    expect(await verificationAttempts.admit({ ...attempt(id), app: 'bank' })).toEqual({
      kind: 'otp_not_found',
    });
    expect(await verificationAttempts.admit(attempt('otp_none'))).toEqual({ kind: 'otp_not_found' });
  });

  it('before the OTP was sent, or when it never was', async () => {
    const id = await admitted(store);
    expect(await verificationAttempts.admit(attempt(id))).toEqual({ kind: 'not_sent' });
    await claimed(store, id);
    expect(await verificationAttempts.admit(attempt(id))).toEqual({ kind: 'not_sent' });
    const late = await admitted(store, { sendDeadlineSeconds: 10 });
    await clock.advance(10_000);
    expect(await verificationAttempts.admit(attempt(late))).toEqual({ kind: 'not_sent' });
  });

  it('when it failed or its ids are lost', async () => {
    const failed = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, failed), rejected);
    expect(await verificationAttempts.admit(attempt(failed))).toEqual({ kind: 'not_verifiable' });
    const lost = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, lost), unknown);
    await store.sendAttempts.settle(await claimed(store, lost), unknown);
    expect(await verificationAttempts.admit(attempt(lost))).toEqual({ kind: 'not_verifiable' });
  });

  it('after it expired or was cancelled', async () => {
    const old = await sent(store, { ttlSeconds: 10 });
    await clock.advance(10_000);
    expect(await verificationAttempts.admit(attempt(old))).toEqual({ kind: 'otp_expired' });
    const cancelled = await sent(store);
    await store.otps.cancel('shop', cancelled);
    expect(await verificationAttempts.admit(attempt(cancelled))).toEqual({ kind: 'otp_cancelled' });
  });

  it('and a late answer to the send makes it possible after all', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    await store.sendAttempts.settle(claim, unknown);
    await store.sendAttempts.settle(claim, accepted());
    expect(await verificationAttempts.admit(attempt(id))).toMatchObject({ kind: 'admitted' });
  });
});
