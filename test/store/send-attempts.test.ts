import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { partitionOfId } from '../../src/otp/otp-id.js';
import type { SendOutcome } from '../../src/otp/outcome.js';
import { createEncrypter } from '../../src/store/encryption.js';
import { keys } from '../../src/store/keys.js';
import { createStore } from '../../src/store/store.js';
import { expireKeys, expiresAt } from '../support/expiry.js';
import {
  accepted,
  accountTrouble,
  admitted,
  balanceLimits,
  claimed,
  ids,
  operatorPauseKey,
  policy,
  rejected,
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
const { sendAttempts } = store;

const find = (id: string) => store.otps.find('shop', id);
const recordKey = (id: string) => keys.record(partitionOfId(id) ?? '', id);

describe('claim', () => {
  it('lets one of many simultaneous claimers call the provider', async () => {
    const id = await admitted(store);
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => sendAttempts.claim(id, `t${i}`)));
    expect(results.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
    expect(results.filter(({ kind }) => kind === 'in_flight')).toHaveLength(49);
    expect(await find(id)).toMatchObject({ status: 'sending' });
  });

  it('goes on when the same command arrives twice after a reconnect', async () => {
    const id = await admitted(store);
    expect(await sendAttempts.claim(id, 'twice')).toMatchObject({ kind: 'claimed', claim: { attempt: 1 } });
    expect(await sendAttempts.claim(id, 'twice')).toMatchObject({ kind: 'claimed', claim: { attempt: 1 } });
  });

  it('can be asked for without being made, and ends an OTP whose deadline has passed', async () => {
    const id = await admitted(store);
    expect(await sendAttempts.peek(id)).toBeNull();
    expect(await find(id)).toMatchObject({ status: 'queued' });
    expect((await claimed(store, id)).attempt).toBe(1);
    expect(await sendAttempts.peek(id)).toMatchObject({ kind: 'in_flight' });
    const late = await admitted(store);
    await clock.advance(120_000);
    expect(await sendAttempts.peek(late)).toMatchObject({
      kind: 'ended',
      now: true,
      otp: { to: { country: 'MY' } },
    });
    expect(await sendAttempts.peek(late)).toMatchObject({ kind: 'ended', now: false });
    expect(await sendAttempts.peek('otp_unknown')).toEqual({ kind: 'missing' });
  });

  it('keeps the record for as long as the OTP may still be sent again', async () => {
    const id = await admitted(store);
    await claimed(store, id);
    expect((await expiresAt(redis, recordKey(id))) - clock.now()).toBeCloseTo(
      120_000 + policy.retentionMs,
      -3,
    );
  });

  it('finds an OTP failed, not expired, whose deadline passed after an unrecognised refusal', async () => {
    const id = await admitted(store);
    const refused = { kind: 'unrecognised', failure: 'insufficient_credits', text: 'Tidak' } as const;
    await sendAttempts.settle(await claimed(store, id), refused);
    expect(await find(id)).toMatchObject({ status: 'queued', failure: null });
    await clock.advance(120_000);
    expect(await find(id)).toMatchObject({ status: 'failed', failure: 'insufficient_credits' });
  });

  it('makes a redelivered job wait until the running attempt must be over', async () => {
    const id = await admitted(store);
    await claimed(store, id);
    await clock.advance(10_000);
    const remainingMs = policy.sendLeaseMs - 10_000;
    expect(await sendAttempts.claim(id, 'other')).toEqual({ kind: 'in_flight', remainingMs });
  });

  it('drops an OTP that could not be sent before its deadline', async () => {
    const id = await admitted(store, { sendDeadlineSeconds: 10 });
    await clock.advance(10_000);
    expect(await find(id)).toMatchObject({ status: 'expired', failure: 'not_sent_in_time' });
    expect(await sendAttempts.claim(id, 'late')).toMatchObject({ kind: 'ended', otp: { status: 'expired' } });
  });

  it('sends again once after an attempt that ended without an outcome, and then no more', async () => {
    const id = await admitted(store);
    await claimed(store, id);
    await clock.advance(policy.sendLeaseMs);
    expect(await find(id)).toMatchObject({ status: 'queued' });
    expect((await claimed(store, id)).attempt).toBe(2);
    await clock.advance(policy.sendLeaseMs);
    expect(await find(id)).toMatchObject({ status: 'unknown', failure: 'outcome_unknown' });
    expect(await sendAttempts.claim(id, 'third')).toMatchObject({ kind: 'ended' });
  });

  it('never sends twice with MAX_RESENDS_AFTER_UNKNOWN=0, however the job comes back', async () => {
    const id = await admitted(strict);
    await claimed(strict, id);
    await clock.advance(policy.sendLeaseMs);
    for (const token of ['stalled', 'retried', 'retried again']) {
      expect(await strict.sendAttempts.claim(id, token)).toMatchObject({
        kind: 'ended',
        otp: { status: 'unknown' },
      });
    }
  });

  it('answers an operator’s retry of a finished OTP with the stored ids and counts nothing', async () => {
    const id = await admitted(store);
    await sendAttempts.settle(await claimed(store, id), accepted());
    const before = await redis.get(recordKey(id));
    expect(await sendAttempts.claim(id, 'retry')).toMatchObject({ kind: 'ended', otp: ids() });
    expect(await redis.get(recordKey(id))).toBe(before);
  });

  it('is given back by a worker whose ENCRYPTION_KEYS cannot open the OTP', async () => {
    const misconfigured = createStore({
      redis: clock.redis,
      encrypter: createEncrypter([randomBytes(32)]),
      policy,
      operatorPauseKeys: [operatorPauseKey],
      balanceLimits,
    });
    const id = await admitted(strict);
    await expect(misconfigured.sendAttempts.claim(id, 't')).rejects.toThrow(/ENCRYPTION_KEYS/);
    expect(await find(id)).toMatchObject({ status: 'queued' });
    expect((await claimed(strict, id)).attempt).toBe(2);
  });

  it('knows no OTP under an id that is none', async () => {
    expect(await sendAttempts.claim('otp_00nothing', 't')).toEqual({ kind: 'missing' });
    expect(await sendAttempts.claim(`otp_mm${'a'.repeat(22)}`, 't')).toEqual({ kind: 'missing' });
  });
});

describe('settle', () => {
  it('accepted: the OTP is sent with its ids, and its time runs from the claim', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    await clock.advance(5);
    await sendAttempts.settle(claim, accepted());
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(), expiresAt: claim.claimedAt + 300_000 });
  });

  it('is safe to repeat', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    await sendAttempts.settle(claim, unknown);
    await sendAttempts.settle(claim, unknown);
    expect(await sendAttempts.settle(claim, unknown)).toMatchObject({ otp: { status: 'queued' }, tries: 1 });
  });

  it('rejected: the OTP has failed, and says why', async () => {
    const id = await admitted(store);
    await sendAttempts.settle(await claimed(store, id), rejected);
    expect(await find(id)).toMatchObject({ status: 'failed', failure: 'invalid_number' });
  });

  it('proven unsent: queued again, failed only when all retries are used up', async () => {
    const impatient = testStore(redis, { maxSendRetries: 2 });
    const id = await admitted(impatient);
    for (const status of ['queued', 'queued', 'failed']) {
      const settled = await impatient.sendAttempts.settle(await claimed(impatient, id), unsent);
      expect(settled?.otp.status).toBe(status);
    }
    expect(await find(id)).toMatchObject({ failure: 'provider_unreachable' });
  });

  it('uses no retry for account trouble or for a claim that was given back', async () => {
    const impatient = testStore(redis, { maxSendRetries: 0 });
    const id = await admitted(impatient);
    for (const outcome of [
      accountTrouble,
      { kind: 'unsent', reason: 'stale_claim' } as const,
      accountTrouble,
    ]) {
      const settled = await impatient.sendAttempts.settle(await claimed(impatient, id), outcome);
      expect(settled).toMatchObject({ otp: { status: 'queued' }, tries: 0 });
    }
  });

  it('unknown: sent again while a resend is left, then unknown', async () => {
    const id = await admitted(store);
    expect(await sendAttempts.settle(await claimed(store, id), unknown)).toMatchObject({
      otp: { status: 'queued' },
    });
    expect(await sendAttempts.settle(await claimed(store, id), unknown)).toMatchObject({
      otp: { status: 'unknown' },
    });
  });

  it('never calls an OTP failed or expired once an SMS may have gone out', async () => {
    const refused = await admitted(store);
    await sendAttempts.settle(await claimed(store, refused), unknown);
    await sendAttempts.settle(await claimed(store, refused), rejected);
    expect(await find(refused)).toMatchObject({ status: 'unknown' });

    const late = await admitted(store, { sendDeadlineSeconds: 10 });
    await sendAttempts.settle(await claimed(store, late), unknown);
    await clock.advance(10_000);
    expect(await find(late)).toMatchObject({ status: 'unknown', failure: 'outcome_unknown' });
  });
});

describe('a late answer', () => {
  it('turns unknown into sent', async () => {
    const id = await admitted(strict);
    const claim = await claimed(strict, id);
    await strict.sendAttempts.settle(claim, unknown);
    await strict.sendAttempts.settle(claim, accepted());
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(), failure: null });
  });

  it('of an attempt whose worker was given up stops the resend', async () => {
    const id = await admitted(store);
    const frozen = await claimed(store, id);
    await clock.advance(policy.sendLeaseMs);
    await sendAttempts.settle(frozen, accepted());
    expect(await sendAttempts.claim(id, 'resend')).toMatchObject({
      kind: 'ended',
      otp: { status: 'sent' },
    });
  });

  it('steps back behind a newer success', async () => {
    const { id, older, newer } = await twoAttempts();
    await sendAttempts.settle(older, accepted(1));
    expect(await find(id)).toMatchObject({ status: 'sending' });
    await sendAttempts.settle(newer, accepted(2));
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(2) });
  });

  it('is ignored after the newer attempt succeeded', async () => {
    const { id, older, newer } = await twoAttempts();
    await sendAttempts.settle(newer, accepted(2));
    await sendAttempts.settle(older, accepted(1));
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(2) });
  });

  it.each([
    ['is refused', rejected],
    ['is proven unsent', unsent],
    ['has no known outcome', unknown],
  ])('serves when the newer attempt %s', async (_, outcome) => {
    const { id, older, newer } = await twoAttempts();
    await sendAttempts.settle(older, accepted(1));
    await sendAttempts.settle(newer, outcome);
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(1) });
  });

  it('gives way when the newer attempt succeeds after all', async () => {
    const { id, older, newer } = await twoAttempts();
    await sendAttempts.settle(older, accepted(1));
    await sendAttempts.settle(newer, unknown);
    await sendAttempts.settle(newer, accepted(2));
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(2) });
  });

  it('keeps the record while its code is valid, though the newer attempt has no outcome', async () => {
    const id = await admitted(store, { sendDeadlineSeconds: 40, ttlSeconds: 300 });
    const older = await claimed(store, id);
    await clock.advance(policy.sendLeaseMs);
    await claimed(store, id);
    await sendAttempts.settle(older, accepted(1));
    await clock.advance(policy.sendLeaseMs + policy.retentionMs);
    await expireKeys(redis, clock.now());
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(1) });
  });

  it('of the newer of two given-up attempts serves, whichever comes first', async () => {
    const patient = testStore(clock.redis, { maxResendsAfterUnknown: 2 });
    const id = await admitted(patient);
    const oldest = await claimed(patient, id);
    await clock.advance(policy.sendLeaseMs);
    const older = await claimed(patient, id);
    await clock.advance(policy.sendLeaseMs);
    const newest = await claimed(patient, id);
    await patient.sendAttempts.settle(older, accepted(2));
    await patient.sendAttempts.settle(oldest, accepted(1));
    await patient.sendAttempts.settle(newest, rejected);
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids(2) });
  });

  it('keeps its ids for the books on a cancelled OTP, which stays cancelled', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    await store.otps.cancel('shop', id);
    await sendAttempts.settle(claim, accepted());
    expect(await find(id)).toMatchObject({ status: 'cancelled', ...ids() });
  });

  it('is dropped once the record’s time to be kept is over', async () => {
    const id = await admitted(strict, { sendDeadlineSeconds: 10 });
    const claim = await claimed(strict, id);
    await clock.advance(10_000 + policy.sendLeaseMs + policy.retentionMs);
    await expireKeys(redis, clock.now());
    expect(await strict.sendAttempts.settle(claim, accepted())).toBeNull();
    expect(await find(id)).toBeNull();
  });

  async function twoAttempts() {
    const id = await admitted(store);
    const older = await claimed(store, id);
    await clock.advance(policy.sendLeaseMs);
    return { id, older, newer: await claimed(store, id) };
  }
});

describe('after Redis lost its last moments', () => {
  it('a settle is accepted by its claim though the record is queued again', async () => {
    const id = await admitted(store);
    const before = (await redis.get(recordKey(id))) ?? '';
    const claim = await claimed(store, id);
    await redis.set(recordKey(id), before);
    await sendAttempts.settle(claim, accepted());
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids() });
  });

  it('an unknown outcome counts though the record is queued again', async () => {
    const id = await admitted(strict);
    const before = (await redis.get(recordKey(id))) ?? '';
    const claim = await claimed(strict, id);
    await redis.set(recordKey(id), before);
    await strict.sendAttempts.settle(claim, unknown);
    expect(await find(id)).toMatchObject({ status: 'unknown' });
  });

  it('a missing record is written again from what the worker holds', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    await redis.del(recordKey(id));
    await sendAttempts.settle(claim, accepted());
    expect(await find(id)).toMatchObject({ status: 'sent', ...ids() });
    expect((await expiresAt(redis, recordKey(id))) - clock.now()).toBeGreaterThan(300_000);
  });

  it('an OTP that looks queued counts one unknown attempt, once', async () => {
    const id = await admitted(store);
    const cautious = await admitted(strict);
    for (const otp of [id, cautious]) {
      await redis.hincrby(keys.history(partitionOfId(otp) ?? ''), 'losses', 1);
    }
    expect(await strict.sendAttempts.claim(cautious, 't')).toMatchObject({
      kind: 'ended',
      otp: { status: 'unknown' },
    });
    const claim = await claimed(store, id);
    expect(await sendAttempts.settle(claim, unknown)).toMatchObject({ otp: { status: 'unknown' } });
  });
});

describe('tries', () => {
  it('are used by calls that failed, not by claims that made no call', async () => {
    const id = await admitted(store);
    const tries = async (outcome: SendOutcome) => {
      const claim = await claimed(store, id);
      await sendAttempts.settle(claim, outcome);
      return claim.tries;
    };
    expect(await tries({ kind: 'unsent', reason: 'circuit_open' })).toBe(0);
    expect(await tries({ kind: 'unsent', reason: 'stale_claim' })).toBe(0);
    expect(await tries(accountTrouble)).toBe(0);
    expect(await tries(unsent)).toBe(0);
    expect(await tries(unknown)).toBe(1);
    expect((await claimed(store, id)).tries).toBe(2);
  });
});

describe('sweep', () => {
  it('ends OTPs whose deadline passed, with no process left to do it', async () => {
    const unsent = await admitted(strict, { sendDeadlineSeconds: 10 });
    const abandoned = await admitted(strict);
    await claimed(strict, abandoned);
    const old = await admitted(strict, { ttlSeconds: 10 });
    await strict.sendAttempts.settle(await claimed(strict, old), accepted());
    await clock.advance(policy.sendLeaseMs);
    for (const id of [unsent, abandoned, old]) await redis.zadd(keys.due(partitionOfId(id) ?? ''), 1, id);
    const { ended } = await strict.sendAttempts.sweep();
    // As statistics count them: without the one that was sent.
    const counted = ended.map(({ id, status, to }) => ({ id, status, country: to?.country }));
    expect(counted.map(({ id }) => id)).not.toContain(old);
    expect(counted).toContainEqual({ id: unsent, status: 'expired', country: 'MY' });
    expect(counted).toContainEqual({ id: abandoned, status: 'unknown', country: 'MY' });
    const stored = await Promise.all([unsent, abandoned, old].map((id) => redis.get(recordKey(id))));
    expect(stored.map((raw) => JSON.parse(raw ?? '').status)).toEqual(['expired', 'unknown', 'expired']);
    expect(await redis.zscore(keys.due(partitionOfId(old) ?? ''), old)).toBeNull();
  });

  it('names queued OTPs whose job may be missing, until they were looked after', async () => {
    const id = await admitted(store);
    const due = keys.due(partitionOfId(id) ?? '');
    const named = async () => (await sendAttempts.sweep()).queued.filter((otp) => otp.id === id);
    const nextLook = async () => Number(await redis.zscore(due, id));
    expect(await named()).toEqual([]);
    await redis.zadd(due, 1, id);
    const [otp] = await named();
    // Its answer may be lost with the process that asked: it is named again.
    expect((await nextLook()) - clock.now()).toBeLessThanOrEqual(10_000);
    await redis.zadd(due, 1, id);
    expect(await named()).toHaveLength(1);
    if (otp) await sendAttempts.markEnqueued([{ id, checkAt: otp.sendDeadline }]);
    expect(await nextLook()).toBe(otp?.sendDeadline);
  });

  it('names an OTP, too, that the end of its attempt’s time gave back for a resend', async () => {
    const id = await admitted(store);
    await claimed(store, id);
    await clock.advance(policy.sendLeaseMs);
    const { queued } = await sendAttempts.sweep();
    expect(queued.map((otp) => otp.id)).toContain(id);
    const stored = JSON.parse((await redis.get(recordKey(id))) ?? '');
    expect(stored).toMatchObject({ status: 'queued', unknowns: 1 });
  });

  it('forgets ids whose record is gone', async () => {
    await redis.zadd(keys.due('mm'), 1, `otp_mm${'x'.repeat(22)}`);
    await sendAttempts.sweep();
    expect(await redis.zscore(keys.due('mm'), `otp_mm${'x'.repeat(22)}`)).toBeNull();
  });
});
