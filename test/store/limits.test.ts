import { beforeEach, describe, expect, it } from 'vitest';
import type { OtpRequest } from '../../src/otp/otp.js';
import { keys } from '../../src/store/keys.js';
import type { Policy } from '../../src/store/script.js';
import type { Store } from '../../src/store/store.js';
import { accepted, claimed, number, refused, rejected, request, testStore, unsent } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const redis = await connect();
beforeEach(() => redis.flushdb());

const ask = (store: Store, overrides: Partial<OtpRequest> = {}) => store.otps.admit(request(overrides), null);
const kinds = async (asked: Promise<{ kind: string }>[]) =>
  (await Promise.all(asked)).map(({ kind }) => kind);
const count = (found: string[], kind: string) => found.filter((each) => each === kind).length;

async function atHand(policy: Partial<Policy>) {
  const clock = redisClock(redis);
  return { clock, store: testStore(clock.redis, policy) };
}

async function admittedId(store: Store, overrides: Partial<OtpRequest> = {}): Promise<string> {
  const admission = await ask(store, overrides);
  if (admission.kind !== 'created') throw new Error(admission.kind);
  return admission.otp.id;
}

describe('the cooldown of a number', () => {
  it('lets a second OTP in exactly when it said', async () => {
    const { clock, store } = await atHand({ recipientCooldownMs: 30_000 });
    await ask(store);
    await clock.advance(10_000);
    expect(await ask(store)).toMatchObject(refused('recipient_rate_limited', { retryAfterMs: 20_000 }));
    await clock.advance(19_999);
    expect(await ask(store)).toMatchObject(refused('recipient_rate_limited', { retryAfterMs: 1 }));
    await clock.advance(1);
    expect(await ask(store)).toMatchObject({ kind: 'created' });
  });

  it('holds for one app and one number only', async () => {
    const store = testStore(redis, { recipientCooldownMs: 30_000 });
    await ask(store);
    expect(await ask(store, { app: 'bank' })).toMatchObject({ kind: 'created' });
    expect(await ask(store, { to: number('0123456780') })).toMatchObject({ kind: 'created' });
  });

  it.each([
    ['was refused by the provider', rejected],
    ['was never sent, its retries used up', unsent],
  ])('is given back by an OTP that %s', async (_, outcome) => {
    const store = testStore(redis, { recipientCooldownMs: 30_000, maxSendRetries: 0 });
    const id = await admittedId(store);
    await store.sendAttempts.settle(await claimed(store, id), outcome);
    expect(await ask(store)).toMatchObject({ kind: 'created' });
  });

  it('is given back by an OTP that was not sent in time, or cancelled before it was sent', async () => {
    const { clock, store } = await atHand({ recipientCooldownMs: 300_000 });
    await ask(store, { sendDeadlineSeconds: 10 });
    await clock.advance(10_000);
    const id = await admittedId(store);
    await store.otps.cancel('shop', id);
    expect(await ask(store)).toMatchObject({ kind: 'created' });
  });

  it('is not given back by an OTP that may have gone out', async () => {
    const store = testStore(redis, { recipientCooldownMs: 30_000, maxResendsAfterUnknown: 0 });
    const to = [number('0123456781'), number('0123456782'), number('0123456783')] as const;
    const lost = await admittedId(store, { to: to[0] });
    await store.sendAttempts.settle(await claimed(store, lost), { kind: 'unknown', reason: 'timeout' });
    const sent = await admittedId(store, { to: to[1] });
    await store.sendAttempts.settle(await claimed(store, sent), accepted());
    await store.otps.cancel('shop', sent);
    const underWay = await admittedId(store, { to: to[2] });
    await claimed(store, underWay);
    await store.otps.cancel('shop', underWay);
    const again = await kinds(to.map((each) => ask(store, { to: each })));
    expect(again).toEqual(['refused', 'refused', 'refused']);
  });
});

describe('the windows of a number', () => {
  it('take so many in ten minutes, and one more exactly when the oldest leaves', async () => {
    const { clock, store } = await atHand({ recipientPer10Minutes: 3 });
    for (let i = 0; i < 3; i++) {
      await ask(store);
      await clock.advance(60_000);
    }
    expect(await ask(store)).toMatchObject(refused('recipient_rate_limited', { retryAfterMs: 420_000 }));
    await clock.advance(420_000);
    expect(await ask(store)).toMatchObject({ kind: 'created' });
    expect(await ask(store)).toMatchObject(refused('recipient_rate_limited', { retryAfterMs: 60_000 }));
  });

  it('take so many in a day', async () => {
    const { clock, store } = await atHand({ recipientPerDay: 2 });
    await ask(store);
    await clock.advance(3_600_000);
    await ask(store);
    expect(await ask(store)).toMatchObject(refused('recipient_rate_limited', { retryAfterMs: 82_800_000 }));
  });

  it('let exactly the limit in when 50 come at the same moment', async () => {
    const store = testStore(redis, { recipientPer10Minutes: 5, recipientPerDay: 10 });
    const found = await kinds(Array.from({ length: 50 }, () => ask(store)));
    expect([count(found, 'created'), count(found, 'refused')]).toEqual([5, 45]);
  });

  it('count nothing that was refused, nor an OTP that is only asked for again with its key', async () => {
    const store = testStore(redis, { recipientPer10Minutes: 2 });
    const key = { endpoint: 'POST /v1/otps', key: 'once', body: '{}' };
    await store.otps.admit(request(), key);
    for (let i = 0; i < 5; i++) {
      expect(await store.otps.admit(request(), key)).toMatchObject({ kind: 'replayed' });
    }
    expect(await ask(store)).toMatchObject({ kind: 'created' });
    expect(await ask(store)).toMatchObject(refused('recipient_rate_limited'));
    expect(await store.otps.admit(request(), key)).toMatchObject({ kind: 'replayed' });
  });

  it('count OTPs to a test number in no limit of another app, nor in those of real OTPs to it', async () => {
    const store = testStore(redis, {
      recipientPer10Minutes: 2,
      recipientPerDay: 2,
      recipientPerDayAllApps: 3,
    });
    for (let i = 0; i < 20; i++) {
      expect(await ask(store, { app: 'tester', isTest: true })).toMatchObject({ kind: 'created' });
    }
    for (const app of ['one', 'two', 'tester']) {
      expect(await ask(store, { app })).toMatchObject({ kind: 'created' });
    }
    expect(await ask(store, { app: 'four' })).toMatchObject(refused('recipient_rate_limited'));
    const [tester] = (await store.phones.known(number())).filter(({ app }) => app === 'tester');
    expect(tester?.admittedAt).toHaveLength(21);
  });

  it('take at most 100 OTPs to a test number in ten minutes', async () => {
    const store = testStore(redis, {});
    const found = await kinds(Array.from({ length: 120 }, () => ask(store, { isTest: true })));
    expect([count(found, 'created'), count(found, 'refused')]).toEqual([100, 20]);
  });

  it('of all apps together tell an app neither how much nor when the others sent', async () => {
    const { clock, store } = await atHand({ recipientPerDayAllApps: 3, recipientPerDay: 10 });
    for (const app of ['one', 'two', 'three']) {
      await ask(store, { app });
      await clock.advance(1_234_567);
    }
    expect(await ask(store, { app: 'four' })).toMatchObject(
      refused('recipient_rate_limited', { retryAfterMs: 3_600_000, quotas: [] }),
    );
    await clock.advance(86_400_000);
    expect(await ask(store, { app: 'four' })).toMatchObject({ kind: 'created' });
  });
});

describe('the limit of an app', () => {
  it('takes so many in a second, however many come at once, and more in the next', async () => {
    const store = testStore(redis, { appPerSecond: 20 });
    const to = (n: number) => number(`01234${String(50_000 + n)}`);
    const window = keys.appWindow('shop');
    // A second that lasts a minute, however busy the machine is.
    await redis.set(window, '1', 'PX', 60_000);
    const found = await kinds(Array.from({ length: 100 }, (_, n) => ask(store, { to: to(n) })));
    expect(count(found, 'created')).toBe(19);
    const leftMs = await redis.pttl(window);
    const over = await ask(store, { to: to(200) });
    expect(over).toMatchObject(refused('app_rate_limited', { retryAfterMs: expect.closeTo(leftMs, -4) }));
    await redis.del(window);
    expect(await ask(store, { to: to(200) })).toMatchObject({ kind: 'created' });
    expect(await redis.pttl(window)).toBeLessThanOrEqual(1_000);
    expect(await ask(store, { to: to(201), app: 'bank' })).toMatchObject({ kind: 'created' });
  });
});

describe('the limit of a client address', () => {
  it('takes so many, and as many of another one', async () => {
    const store = testStore(redis, { clientIpPer10Minutes: 2 });
    const from = (clientIp: string | null) => ask(store, { clientIp });
    expect(await kinds([from('198.51.100.7'), from('198.51.100.7'), from('198.51.100.8')])).toEqual([
      'created',
      'created',
      'created',
    ]);
    expect(await from('198.51.100.7')).toMatchObject(refused('client_ip_rate_limited'));
    expect(await from(null)).toMatchObject({ kind: 'created' });
  });

  it('takes twice as many from an IPv6 /56 network as from one of its /64 networks', async () => {
    const store = testStore(redis, { clientIpPer10Minutes: 3 });
    const from = (network: string) => ask(store, { clientIp: network });
    for (let i = 0; i < 3; i++) expect(await from('2001:db8:1:200')).toMatchObject({ kind: 'created' });
    expect(await from('2001:db8:1:200')).toMatchObject(refused('client_ip_rate_limited'));
    for (let i = 1; i <= 3; i++) expect(await from(`2001:db8:1:20${i}`)).toMatchObject({ kind: 'created' });
    const last = await from('2001:db8:1:2ff');
    expect(last).toMatchObject(refused('client_ip_rate_limited'));
    if (last.kind !== 'refused') return;
    const network = { name: 'client-ip-56', quota: 6, remaining: 0 };
    expect(last.refusal.quotas).toContainEqual(expect.objectContaining(network));
    expect(await from('2001:db8:1:300')).toMatchObject({ kind: 'created' });
  });

  it('never stands in Redis in clear', async () => {
    const store = testStore(redis, { clientIpPer10Minutes: 2 });
    await ask(store, { clientIp: '198.51.100.7' });
    expect((await redis.keys('*')).join()).not.toContain('198.51.100.7');
  });
});

describe('the limits of a limit key', () => {
  const limited = (per10Minutes: number, perDay: number) =>
    new Map([
      ['user', { per10Minutes, perDay }],
      ['device', { per10Minutes: 0, perDay: 0 }],
    ]);
  const byKeys = (store: Store, keyLimits: OtpRequest['keyLimits'], overrides: Partial<OtpRequest> = {}) =>
    ask(store, { limitKeys: { user: 'u-4711' }, keyLimits, ...overrides });
  const to = (n: number) => number(`01234${String(60_000 + n)}`);

  it('let exactly the limit in when 1,000 come at the same moment', async () => {
    const store = testStore(redis);
    const asked = Array.from({ length: 1_000 }, (_, n) => byKeys(store, limited(30, 20), { to: to(n) }));
    const found = await kinds(asked);
    expect([count(found, 'created'), count(found, 'refused')]).toEqual([20, 980]);
  });

  it('end with their window: a refusal tells the kind, the wait and what is left', async () => {
    const store = testStore(redis);
    const next = () => byKeys(store, limited(1, 2), { to: to(1) });
    expect(await next()).toMatchObject({
      kind: 'created',
      quotas: [
        { name: 'limit-key-user-day', quota: 2, windowMs: 86_400_000, remaining: 1 },
        { name: 'limit-key-user-10min', quota: 1, windowMs: 600_000, remaining: 0 },
      ],
    });
    const window = (await redis.keys('*limit-key-10min'))[0] ?? '';
    const leftMs = await redis.pttl(window);
    const refusal = { message: expect.stringContaining('`user`'), retryAfterMs: expect.closeTo(leftMs, -4) };
    expect(await next()).toMatchObject(refused('limit_key_rate_limited', refusal));
    await redis.del(window);
    expect(await next()).toMatchObject({ kind: 'created' });
    const day = { retryAfterMs: expect.closeTo(86_400_000, -5) };
    expect(await next()).toMatchObject(refused('limit_key_rate_limited', day));
  });

  it('count one app, kind and value each, and no OTP to a test number', async () => {
    const store = testStore(redis);
    const next = (overrides: Partial<OtpRequest>) => byKeys(store, limited(1, 0), overrides);
    expect(await next({})).toMatchObject({ kind: 'created' });
    expect(await next({})).toMatchObject(refused('limit_key_rate_limited'));
    expect(await next({ limitKeys: { user: 'u-4712' } })).toMatchObject({ kind: 'created' });
    expect(await next({ app: 'bank' })).toMatchObject({ kind: 'created' });
    expect(await next({ isTest: true })).toMatchObject({ kind: 'created' });
    const unlimited = { limitKeys: { device: 'u-4711', gone: 'u-4711' } };
    expect(await next(unlimited)).toMatchObject({ kind: 'created', quotas: [] });
  });

  it('count nothing for what was refused, or is only asked for again with its key', async () => {
    const store = testStore(redis, { recipientPer10Minutes: 1 });
    const asked = (n: number) =>
      request({ to: to(n), limitKeys: { user: 'u-1', device: 'd-1' }, keyLimits: limited(2, 0) });
    const key = { endpoint: 'POST /v1/otps', key: 'once', body: '{}' };
    await store.otps.admit(asked(1), key);
    for (let i = 0; i < 3; i++) {
      expect(await store.otps.admit(asked(1), key)).toMatchObject({ kind: 'replayed' });
      expect(await store.otps.admit(asked(1), null)).toMatchObject(refused('recipient_rate_limited'));
    }
    expect(await store.otps.admit(asked(2), null)).toMatchObject({ kind: 'created' });
    expect(await store.otps.admit(asked(3), null)).toMatchObject(refused('limit_key_rate_limited'));
  });

  it('never stand in Redis in clear', async () => {
    const store = testStore(redis);
    expect(await byKeys(store, limited(2, 2))).toMatchObject({ kind: 'created' });
    const names = await redis.keys('*');
    const values = await redis.mget(names.filter((name) => /otp_|limit-key/.test(name)));
    expect(values).toHaveLength(3);
    expect([...names, ...values].join()).not.toContain('4711');
  });
});

describe('of several limits', () => {
  it('the one with the longest wait answers, so that a request after that wait is admitted', async () => {
    const { clock, store } = await atHand({ recipientCooldownMs: 30_000, recipientPer10Minutes: 1 });
    await ask(store);
    expect(await ask(store)).toMatchObject(refused('recipient_rate_limited', { retryAfterMs: 600_000 }));
    await clock.advance(600_000);
    expect(await ask(store)).toMatchObject({ kind: 'created' });
  });

  it('an admission reports the remaining quota of each limit', async () => {
    const store = testStore(redis, { recipientPer10Minutes: 5, recipientPerDay: 10, appPerSecond: 100 });
    await ask(store);
    const admission = await ask(store);
    expect(admission).toMatchObject({
      quotas: [
        { name: 'recipient-10min', quota: 5, windowMs: 600_000, remaining: 3 },
        { name: 'recipient-day', quota: 10, windowMs: 86_400_000, remaining: 8 },
        { name: 'app', quota: 100, windowMs: 1_000, remaining: 98 },
      ],
    });
  });
});

describe('wrong codes in a row', () => {
  const attempt = async (
    store: Store,
    id: string,
    outcome: 'correct' | 'incorrect' | 'unsent' | 'unavailable',
  ) => {
    const verification = { app: 'shop', id, token: `${Math.random()}`, replay: null };
    const { kind } = await store.verificationAttempts.admit(verification);
    if (kind !== 'admitted') return kind;
    return (await store.verificationAttempts.settle(verification, outcome)).kind;
  };
  const sentOtp = async (store: Store, overrides: Partial<OtpRequest> = {}) => {
    const id = await admittedId(store, overrides);
    await store.sendAttempts.settle(await claimed(store, id), accepted());
    return id;
  };

  it('lock the number across its OTPs; a new OTP does not begin anew, and is refused', async () => {
    const store = testStore(redis, { maxWrongCodes: 4 });
    const [first, second] = [await sentOtp(store), await sentOtp(store)];
    for (const id of [first, first, second, second])
      expect(await attempt(store, id, 'incorrect')).toBe('incorrect');
    expect(await attempt(store, second, 'correct')).toBe('recipient_locked');
    expect(await ask(store)).toMatchObject(refused('recipient_locked'));
    expect(await ask(store, { app: 'bank' })).toMatchObject({ kind: 'created' });
  });

  it('begin anew with a right one, and count no attempt that never reached the provider', async () => {
    const store = testStore(redis, { maxWrongCodes: 3 });
    const [first, second] = [await sentOtp(store), await sentOtp(store)];
    await attempt(store, first, 'incorrect');
    await attempt(store, first, 'incorrect');
    for (let i = 0; i < 5; i++) expect(await attempt(store, first, 'unsent')).toBe('unavailable');
    expect(await attempt(store, first, 'correct')).toBe('verified');
    for (let i = 0; i < 3; i++) expect(await attempt(store, second, 'incorrect')).toBe('incorrect');
    expect(await attempt(store, second, 'correct')).toBe('recipient_locked');
  });

  it('let no more than the limit through when 50 come at the same moment', async () => {
    const store = testStore(redis, { maxWrongCodes: 7 });
    const ids = await Promise.all(Array.from({ length: 10 }, () => sentOtp(store)));
    const found = await Promise.all(
      Array.from({ length: 50 }, (_, n) => attempt(store, ids[n % 10] ?? '', 'incorrect')),
    );
    expect(found.filter((kind) => kind === 'incorrect')).toHaveLength(7);
  });

  it('are lifted by the operator, for this app and number alone', async () => {
    const store = testStore(redis, { maxWrongCodes: 1 });
    const others = await sentOtp(store, { to: number('0123456780') });
    await attempt(store, others, 'incorrect');
    const id = await sentOtp(store);
    await attempt(store, id, 'incorrect');
    expect(await store.phones.unlock('bank', number())).toBe(false);
    expect(await store.phones.unlock('shop', number())).toBe(true);
    expect(await attempt(store, id, 'correct')).toBe('verified');
    expect(await attempt(store, others, 'correct')).toBe('recipient_locked');
  });

  it('count an attempt that iSMS did not answer, since it may have been wrong', async () => {
    const store = testStore(redis, { maxWrongCodes: 2 });
    const [first, second] = [await sentOtp(store), await sentOtp(store)];
    expect(await attempt(store, first, 'unavailable')).toBe('unavailable');
    expect(await attempt(store, first, 'incorrect')).toBe('incorrect');
    expect(await attempt(store, second, 'correct')).toBe('recipient_locked');
  });

  it('of one app do not keep what is known of another for longer', async () => {
    const store = testStore(redis, { maxWrongCodes: 1, recipientPerDay: 5 });
    await attempt(store, await sentOtp(store), 'incorrect');
    await store.phones.unlock('shop', number());
    await ask(store, { app: 'bank' });
    for (const key of await redis.keys('*:phone:*')) {
      expect(await redis.pttl(key)).toBeLessThanOrEqual(86_400_000);
    }
  });

  it('are kept after the OTPs are gone', async () => {
    const store = testStore(redis, { maxWrongCodes: 1, recipientPerDay: 5 });
    await attempt(store, await sentOtp(store), 'incorrect');
    for (const key of await redis.keys('*:phone:*')) {
      expect(await redis.pttl(key)).toBeGreaterThan(300 * 86_400_000);
    }
  });
});
