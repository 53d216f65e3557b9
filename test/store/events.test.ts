import { beforeEach, describe, expect, it } from 'vitest';
import { eventTypes } from '../../src/otp/event.js';
import type { Policy } from '../../src/store/script.js';
import { wantedEvents } from '../../src/store/script.js';
import { accepted, admitted, claimed, number, rejected, sent, testStore, unknown } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock = redisClock(redis);
const otpEvents = eventTypes.filter((type) => type.startsWith('otp.'));
const all = { events: wantedEvents([...otpEvents, 'sending.paused', 'sending.resumed', 'balance.low']) };
const storeWith = (policy: Partial<Policy>) => testStore(clock.redis, { ...all, ...policy });
let store = storeWith({});
const read = async () => (await store.events.read()).flatMap(({ event }) => (event ? [event] : []));

beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
  store = storeWith({});
});

describe('an event is written down', () => {
  it('with the move of an OTP that it tells of, and not by moves of types that are not wanted', async () => {
    const id = await admitted(store);
    const claim = await claimed(store, id);
    expect(await read()).toEqual([]);
    await store.sendAttempts.settle(claim, accepted());
    const [event, ...others] = await read();
    expect(event).toMatchObject({ type: 'otp.sent', about: { otpId: id, app: 'shop', failure: null } });
    expect(event?.at).toBe(clock.now());
    expect(others).toEqual([]);
  });

  it('once, however often the outcome is written down', async () => {
    const claim = await claimed(store, await admitted(store));
    for (let i = 0; i < 3; i++) await store.sendAttempts.settle(claim, accepted());
    expect(await read()).toHaveLength(1);
  });

  it('for each way an OTP can go', async () => {
    const short = storeWith({ maxResendsAfterUnknown: 0 });
    const refused = await claimed(short, await admitted(short));
    await short.sendAttempts.settle(refused, rejected);
    const lost = await claimed(short, await admitted(short));
    await short.sendAttempts.settle(lost, unknown);
    await short.sendAttempts.settle(lost, accepted(2));
    await admitted(short, { sendDeadlineSeconds: 10 });
    const verified = await sent(short);
    const right = { app: 'shop', id: verified, token: 'a', replay: null };
    expect(await short.verificationAttempts.admit(right)).toMatchObject({ kind: 'admitted' });
    await short.verificationAttempts.settle(right, 'correct');
    const locked = await sent(short, { maxAttempts: 1 });
    const wrong = { app: 'shop', id: locked, token: 'b', replay: null };
    await short.verificationAttempts.admit(wrong);
    await short.verificationAttempts.settle(wrong, 'incorrect');
    await clock.advance(10_000);
    for (const key of await redis.keys('*:due')) {
      for (const id of await redis.zrange(key, '0', '-1')) await redis.zadd(key, 'XX', 1, id);
    }
    await short.sendAttempts.sweep();
    const types = (await read()).map(({ type, about }) => [type, 'failure' in about ? about.failure : null]);
    expect(types.sort()).toEqual([
      ['otp.expired', 'not_sent_in_time'],
      ['otp.failed', 'invalid_number'],
      ['otp.locked', null],
      ['otp.sent', null],
      ['otp.sent', null],
      ['otp.sent', null],
      ['otp.unknown', 'outcome_unknown'],
      ['otp.verified', null],
    ]);
  });

  it('only if its type is wanted', async () => {
    const few = storeWith({ events: wantedEvents(['otp.failed']) });
    await sent(few);
    const none = storeWith({ events: wantedEvents([]) });
    await sent(none);
    expect(await read()).toEqual([]);
    expect(await redis.keys('*:events')).toEqual([]);
  });

  it('when sending pauses and resumes, once each', async () => {
    const report = { trouble: 'insufficient_credits', claimedAt: clock.now() } as const;
    await store.sendingPause.report(report);
    await store.sendingPause.report(report);
    await store.sendingPause.resume();
    await store.sendingPause.resume();
    const events = await read();
    expect(events.map(({ type }) => type)).toEqual(['sending.paused', 'sending.resumed']);
    expect(events[0]?.about).toEqual({ trouble: 'insufficient_credits', text: null });
  });

  it('when ten numbers of an app in a row have an unrecognised refusal, with its text', async () => {
    const claimedAt = clock.now();
    const refusals = Array.from({ length: 10 }, (_, n) => ({ to: number(`012345678${n}`), claimedAt }));
    await store.appHolds.noteRefusals({ app: 'shop', text: 'Sistem tergendala', refusals });
    const [event] = await read();
    expect(event).toMatchObject({
      type: 'sending.paused',
      about: { trouble: 'unrecognised_refusal', text: 'Sistem tergendala', app: 'shop' },
    });
  });

  it('when the balance gets low, not when it is so still, nor when that is over', async () => {
    for (const credits of [500, 50, 40, 500])
      await store.balance.record({ credits, expiresOn: '2030-01-01' });
    const events = await read();
    expect(events).toMatchObject([{ type: 'balance.low', about: { credits: 50, expiresOn: '2030-01-01' } }]);
  });
});

describe('the events', () => {
  it('stay until they are forgotten, under ids that do not change and are in the order of time', async () => {
    const id = await admitted(store, { maxAttempts: 1 });
    await store.sendAttempts.settle(await claimed(store, id), accepted());
    await clock.advance(5);
    await store.sendingPause.report({
      trouble: 'account_suspended',
      claimedAt: clock.now(),
    });
    const first = await store.events.read();
    const again = await store.events.read();
    expect(again).toEqual(first);
    const ids = first.map(({ event }) => event?.id);
    expect(ids).toEqual([...ids].sort());
    expect(ids[0]).toMatch(/^evt_[0-9a-z]{9}_\d{4}_\d{2}$/);
    await store.events.forget(first.slice(0, 1));
    expect((await read()).map((event) => event.id)).toEqual(ids.slice(1));
    await store.events.forget(first);
    expect(await read()).toEqual([]);
  });

  it('that make no sense here hide no others, and can be let go of', async () => {
    const strange = { type: 'otp.teleported', at: '1', id: 'otp_1', app: 'shop', failure: '' };
    await redis.xadd('isms:{sending}:events', '*', ...Object.entries(strange).flat());
    await redis.xadd('isms:{sending}:events', '*', 'nonsense', 'x');
    await sent(store);
    const stored = await store.events.read();
    expect(stored).toHaveLength(3);
    expect(stored.filter(({ event }) => event === null)).toHaveLength(2);
    await store.events.forget(stored);
    expect(await store.events.read()).toEqual([]);
  });
});
