import { describe, expect, it } from 'vitest';
import { statuses } from '../../src/otp/otp.js';
import { partitionOfId } from '../../src/otp/otp-id.js';
import { keys } from '../../src/store/keys.js';
import { expireKeys, expiresAt } from '../support/expiry.js';
import {
  accepted,
  admitted,
  claimed,
  number,
  operatorPauseKey,
  policy,
  refused,
  rejected,
  request,
  sent,
  testStore,
  unknown,
} from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';
import { onCluster } from '../support/redis-topology.js';

const redis = await connect();
const clock = redisClock(redis);
const store = testStore(clock.redis);
const { otps } = store;

const recordKey = (id: string) => keys.record(partitionOfId(id) ?? '', id);
const idempotency = (key: string, body = '{}') => ({ endpoint: 'POST /v1/otps', key, body });

describe('admit', () => {
  it('writes a queued OTP whose key expires by itself', async () => {
    const id = await admitted(store);
    expect(await otps.find('shop', id)).toMatchObject({ status: 'queued', attemptsRemaining: 5, uuid: null });
    expect((await expiresAt(redis, recordKey(id))) - clock.now()).toBeCloseTo(180_000, -3);
  });

  it('has the sweeper look after ten seconds whether the job has arrived', async () => {
    const id = await admitted(store);
    const otp = await otps.find('shop', id);
    const due = Number(await redis.zscore(keys.due(partitionOfId(id) ?? ''), id));
    expect(due - (otp?.createdAt ?? 0)).toBe(10_000);
  });

  it('keeps number, message and reference encrypted, and finds the OTP by reference', async () => {
    const secret = request({ to: number('0198765432'), message: 'Kod %OTP%', reference: 'order 4711' });
    const { otp } = (await otps.admit(secret, null)) as { otp: { id: string } };
    const raw = (await redis.get(recordKey(otp.id))) ?? '';
    for (const text of ['198765432', 'Kod', '4711', '765432']) expect(raw).not.toContain(text);
    const [found] = await otps.findByReference('shop', 'order 4711');
    expect(found).toMatchObject({ id: otp.id, message: 'Kod %OTP%', reference: 'order 4711' });
    expect(found?.to.e164).toBe('+60198765432');
    expect(await otps.findByReference('bank', 'order 4711')).toEqual([]);
  });

  it('finds the OTPs of one reference newest first', async () => {
    const made: string[] = [];
    for (let i = 0; i < 3; i++) {
      made.unshift(await admitted(store, { reference: 'thrice' }));
      await clock.advance(1);
    }
    expect((await otps.findByReference('shop', 'thrice')).map(({ id }) => id)).toEqual(made);
  });

  it('answers the same idempotency key and body with the same OTP, as it is now', async () => {
    const first = await otps.admit(request(), idempotency('a'));
    if (first.kind !== 'created') throw new Error(first.kind);
    await store.sendAttempts.settle(await claimed(store, first.otp.id), accepted());
    const again = await otps.admit(request(), idempotency('a'));
    expect(again).toMatchObject({ kind: 'replayed', otp: { id: first.otp.id, status: 'sent' } });
  });

  it('admits one OTP per key of many simultaneous requests', async () => {
    const all = await Promise.all(
      Array.from({ length: 40 }, () => otps.admit(request(), idempotency('crowd'))),
    );
    expect(all.filter(({ kind }) => kind === 'created')).toHaveLength(1);
    expect(new Set(all.map((one) => ('otp' in one ? one.otp.id : ''))).size).toBe(1);
  });

  it('refuses a key that comes with another body, and keeps apps and endpoints apart', async () => {
    await otps.admit(request(), idempotency('b'));
    expect(await otps.admit(request(), idempotency('b', '{"other":1}'))).toMatchObject(
      refused('idempotency_key_reused'),
    );
    expect(await otps.admit(request({ app: 'bank' }), idempotency('b'))).toMatchObject({ kind: 'created' });
    const elsewhere = { ...idempotency('b'), endpoint: 'elsewhere' };
    expect(await otps.admit(request(), elsewhere)).toMatchObject({ kind: 'created' });
  });

  it('lets the idempotency key go with the record', async () => {
    const first = await otps.admit(request(), idempotency('c'));
    if (first.kind !== 'created') throw new Error(first.kind);
    await store.sendAttempts.settle(await claimed(store, first.otp.id), rejected);
    const record = JSON.parse((await redis.get(recordKey(first.otp.id))) ?? '');
    await clock.advance(policy.retentionMs);
    const expired = await expireKeys(redis, clock.now());
    expect(expired).toContain(recordKey(first.otp.id));
    // On a cluster the key lies in a slot of its own: it means nothing any more, and is gone some minutes later.
    if (!onCluster) expect(expired).toContain(record.idempotencyKey);
    expect(await otps.find('shop', first.otp.id)).toBeNull();
    expect(await otps.admit(request(), idempotency('c'))).toMatchObject({ kind: 'created' });
  });

  it('refuses new sends while either pause is on, but still answers replays', async () => {
    await otps.admit(request(), idempotency('d'));
    await store.sendingPause.report({
      trouble: 'ip_not_allowed',
      claimedAt: clock.now() + 5_000,
    });
    expect(await otps.admit(request(), null)).toMatchObject(
      refused('sending_paused', { reason: 'ip_not_allowed' }),
    );
    expect(await otps.admit(request(), idempotency('d'))).toMatchObject({ kind: 'replayed' });
    await redis.hset(operatorPauseKey, 'paused', 1);
    await store.sendingPause.resume();
    expect(await otps.admit(request(), null)).toMatchObject(
      refused('sending_paused', { reason: 'operator' }),
    );
    await redis.hdel(operatorPauseKey, 'paused');
    expect(await otps.admit(request(), null)).toMatchObject({ kind: 'created' });
  });
});

describe('an app that an operator paused', () => {
  it('has its new sends refused, not its replays, its verifications, nor sends of other apps', async () => {
    const id = await sent(store);
    await otps.admit(request(), idempotency('before'));
    expect(await store.appPauses.pause('shop')).toBe(true);
    expect(await store.appPauses.pause('shop')).toBe(false);
    expect(await otps.admit(request(), null)).toMatchObject(refused('app_paused'));
    expect(await otps.admit(request(), idempotency('before'))).toMatchObject({ kind: 'replayed' });
    expect(await otps.admit(request({ app: 'bank' }), null)).toMatchObject({ kind: 'created' });
    const verification = { app: 'shop', id, token: 't', replay: null };
    expect(await store.verificationAttempts.admit(verification)).toMatchObject({ kind: 'admitted' });
    expect(await store.appPauses.resume('shop')).toBe(true);
    expect(await store.appPauses.resume('shop')).toBe(false);
    expect(await otps.admit(request(), null)).toMatchObject({ kind: 'created' });
  });
});

describe('find', () => {
  it('shows another app’s OTP as none', async () => {
    const id = await admitted(store);
    expect(await otps.find('bank', id)).toBeNull();
  });

  it.each(['', 'otp_', 'otp_mmshort', `otp_zz${'a'.repeat(22)}`, `otp_ff${'a'.repeat(22)}`, '{x}:otp'])(
    'knows no OTP under %j',
    async (id) => {
      expect(await otps.find('shop', id)).toBeNull();
    },
  );

  it('shows expiry at once, before it is written', async () => {
    const id = await sent(store, { ttlSeconds: 10 });
    expect(await otps.find('shop', id)).toMatchObject({ status: 'sent' });
    await clock.advance(10_000);
    expect(await otps.find('shop', id)).toMatchObject({ status: 'expired', failure: null });
  });
});

describe('cancel', () => {
  it('before the send: nothing is sent any more', async () => {
    const id = await admitted(store);
    expect(await otps.cancel('shop', id)).toBe('cancelled');
    expect(await store.sendAttempts.claim(id, 't')).toMatchObject({
      kind: 'ended',
      otp: { status: 'cancelled' },
    });
  });

  it('while sending: nothing revives it, and there is no resend', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    await otps.cancel('shop', id);
    expect(await store.sendAttempts.settle(claim, unknown)).toMatchObject({ otp: { status: 'cancelled' } });
    expect(await store.sendAttempts.claim(id, 'again')).toMatchObject({ kind: 'ended' });
  });

  it('while sending: a late answer finds it cancelled, however short its record is kept', async () => {
    const brief = testStore(clock.redis, { retentionMs: 1_000 });
    const id = await admitted(brief);
    const claim = await claimed(brief, id);
    await brief.otps.cancel('shop', id);
    await clock.advance(2_000);
    await expireKeys(redis, clock.now());
    expect(await brief.sendAttempts.settle(claim, accepted())).toMatchObject({
      otp: { status: 'cancelled' },
    });
  });

  it('after the send, or when its outcome is unknown: it is over', async () => {
    const id = await sent(store);
    expect(await otps.cancel('shop', id)).toBe('cancelled');
    expect(await otps.find('shop', id)).toMatchObject({ status: 'cancelled' });
    const lost = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, lost), unknown);
    await store.sendAttempts.settle(await claimed(store, lost), unknown);
    await otps.cancel('shop', lost);
    expect(await otps.find('shop', lost)).toMatchObject({ status: 'cancelled' });
  });

  it('is refused for a verified OTP', async () => {
    const id = await sent(store);
    const verification = { app: 'shop', id, token: 't', replay: null };
    await store.verificationAttempts.admit(verification);
    await store.verificationAttempts.settle(verification, 'correct');
    expect(await otps.cancel('shop', id)).toBe('already_verified');
    expect(await otps.find('shop', id)).toMatchObject({ status: 'verified' });
  });

  it('changes nothing on an OTP that ended otherwise, or a second time', async () => {
    const id = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, id), rejected);
    const before = await redis.get(recordKey(id));
    expect(await otps.cancel('shop', id)).toBe('cancelled');
    expect(await otps.cancel('shop', id)).toBe('cancelled');
    expect(await redis.get(recordKey(id))).toBe(before);
  });

  it('is the same “not found” for another app’s OTP as for none', async () => {
    expect(await otps.cancel('bank', await admitted(store))).toBe('otp_not_found');
    expect(await otps.cancel('shop', `otp_mm${'a'.repeat(22)}`)).toBe('otp_not_found');
  });
});

describe('the state machine', () => {
  it('is enforced by Redis: no move that the table does not name', async () => {
    const id = await admitted(store);
    const { encrypted, ...record } = JSON.parse((await redis.get(recordKey(id))) ?? '');
    const claim = await claimed(store, id);
    for (const status of statuses.filter((one) => one !== 'queued' && one !== 'sending')) {
      await redis.set(
        recordKey(id),
        JSON.stringify({ ...record, status, claims: 9, sentBy: 9, expiresAt: 1e13, encrypted }),
      );
      const settled = await store.sendAttempts.settle(claim, rejected).catch((error: Error) => error.message);
      expect(settled).toMatchObject({ otp: { status } });
    }
  });
});
