import { beforeEach, describe, expect, it } from 'vitest';
import type { OtpRequest } from '../../src/otp/otp.js';
import type { PhoneNumber } from '../../src/otp/phone-number.js';
import type { Admission } from '../../src/store/admission.js';
import { createEncrypter } from '../../src/store/encryption.js';
import { createStore, type Store } from '../../src/store/store.js';
import { faultRow, full } from '../support/fault-table.js';
import {
  accepted,
  balanceLimits,
  claimed,
  encryptionKey,
  number,
  operatorPauseKey,
  policy,
  refused,
  rejected,
  request,
} from '../support/otps.js';
import { seededRandom } from '../support/random.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;
beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
});

function guardedStore(mode: 'off' | 'monitor' | 'enforce'): Store {
  return createStore({
    redis: clock.redis,
    encrypter: createEncrypter([encryptionKey]),
    policy: { ...policy, fraudGuard: mode },
    operatorPauseKeys: [operatorPauseKey],
    balanceLimits,
  });
}

/** The n-th number of the range 6012345. */
const inRange = (n: number) => number(`+6012345${String(n).padStart(4, '0')}`);

/** Asks for an OTP and has it sent; with its id, or null when it was refused. */
async function send(store: Store, overrides: Partial<OtpRequest>): Promise<string | null> {
  const admission = await store.otps.admit(request(overrides), null);
  if (admission.kind === 'refused') return null;
  if (admission.kind !== 'created') throw new Error(admission.kind);
  const { id } = admission.otp;
  await store.sendAttempts.settle(await claimed(store, id), accepted());
  return id;
}

async function verify(store: Store, id: string): Promise<void> {
  const verification = { app: 'shop', id, token: id, replay: null };
  const { kind } = await store.verificationAttempts.admit(verification);
  // A code may be typed too late.
  if (kind === 'otp_expired') return;
  expect(kind).toBe('admitted');
  await store.verificationAttempts.settle(verification, 'correct');
}

/**
 * `count` OTPs to numbers of the range from `first` on, one each `everyMs`, of which `together` are asked for at the same
 * moment; answers how many were paid for.
 */
async function pump(store: Store, { first = 0, count = 0, everyMs = 20, together = 1 }): Promise<number> {
  let paid = 0;
  for (let n = first; n < first + count; n += together) {
    const some = Array.from({ length: Math.min(together, first + count - n) }, (_, i) =>
      inRange((n + i) % 10_000),
    );
    const ids = await Promise.all(some.map((to) => send(store, { to })));
    paid += ids.filter((id) => id !== null).length;
    await clock.advance(everyMs * some.length);
  }
  return paid;
}

/** Releases the lines of a batch once and has those sent that the guard lets through; with their ids. */
async function release(store: Store, batch: string): Promise<string[]> {
  const released = await store.waitingLines.release(batch, 1_000, await store.waitingLines.count(batch));
  const checks = await store.ranges.checkReleased(released);
  const ids = released.map(({ otp }) => otp).filter((_, i) => checks[i]?.waitMs === 0);
  const held = released.map(({ otp }) => otp).filter((_, i) => checks[i]?.waitMs !== 0);
  await store.waitingLines.putBack(held, 'last');
  await Promise.all(
    ids.map(async ({ id }) => store.sendAttempts.settle(await claimed(store, id), accepted())),
  );
  await noted();
  return ids.map(({ id }) => id);
}

/** Uploads OTPs to numbers of the range as a batch, and releases it once. */
async function upload(
  store: Store,
  { first = 0, count = 0 },
): Promise<{ batch: string; ids: string[]; refused: Admission[] }> {
  const batch = (await store.batches.open('shop', null)) ?? '';
  const refused: Admission[] = [];
  for (let from = 0; from < count; from += 200) {
    const requests = Array.from({ length: Math.min(200, count - from) }, (_, i) =>
      request({ to: inRange((first + from + i) % 10_000), sendDeadlineSeconds: 86_400 }),
    );
    const lines = requests.map((each) => ({ request: each, text: JSON.stringify(each.to.e164) }));
    const upload = { batch, app: 'shop' };
    const places = await store.batches.reserve(upload, from, lines);
    const asked = requests.flatMap((each, i) => {
      const place = places?.[i];
      return place && place !== 'reused' ? [{ request: each, reserved: { batch, ...place } }] : [];
    });
    for (const admission of await store.otps.admitMany(asked)) {
      if (admission instanceof Error) throw admission;
      if (admission.kind !== 'created') refused.push(admission);
    }
  }
  return { batch, ids: await release(store, batch), refused };
}

/** Lets what is noted about ranges arrive: at most 200 at a time are on their way, and Redis answers in order. */
async function noted(): Promise<void> {
  for (let i = 0; i < 10; i++) await redis.ping();
}

describe('pumping of one range, when the guard enforces', () => {
  const count = full ? 10_000 : 1_000;
  it(`${count} numbers in 200 seconds: at most 50 are paid for`, { timeout: 60_000 }, async () => {
    const store = guardedStore('enforce');
    const paid = await pump(store, { count, everyMs: 200_000 / count, together: count / 200 });
    faultRow(
      `${count.toLocaleString('en')} pumped numbers of one range at ${count / 200} a second, the guard enforcing`,
      { paid },
      'A2',
    );
    expect(paid).toBeLessThanOrEqual(50);
    expect(await store.ranges.limited()).toMatchObject([{ app: 'shop', range: '6012345' }]);
  });

  it('that goes on is blocked for an hour, then for a day', { timeout: 60_000 }, async () => {
    const store = guardedStore('enforce');
    await pump(store, { count: 900, everyMs: 2_000, together: 10 });
    const [blocked] = await store.ranges.limited();
    expect((blocked?.blockedUntil ?? 0) - clock.now()).toBeGreaterThan(30 * 60_000);
    expect((blocked?.blockedUntil ?? 0) - clock.now()).toBeLessThanOrEqual(3_600_000);
    await clock.advance(3_600_000);
    await pump(store, { first: 1_000, count: 600, everyMs: 2_000, together: 10 });
    const [again] = await store.ranges.limited();
    expect((again?.blockedUntil ?? 0) - clock.now()).toBeGreaterThan(23 * 3_600_000);
    const late = await store.otps.admit(request({ to: inRange(5_000) }), null);
    expect(late).toMatchObject(refused('range_blocked'));
    if (late.kind !== 'refused') return;
    await clock.advance(late.refusal.retryAfterMs ?? 0);
    expect(await send(store, { to: inRange(5_000) })).not.toBeNull();
  });

  it('that is slow enough never to be judged by the minute is blocked by the day', {
    timeout: 60_000,
  }, async () => {
    const store = guardedStore('enforce');
    let paid = 0;
    for (let round = 0; round < 24 * 6; round++) {
      paid += await pump(store, { first: round * 19, count: 19, everyMs: 10, together: 19 });
      await clock.advance(660_000);
    }
    expect(paid).toBeLessThanOrEqual(150);
  });

  it('is refused for the true reason: capped at first, then slowed, then blocked', async () => {
    const store = guardedStore('enforce');
    const refusal = async () => {
      const admission = await store.otps.admit(request({ to: inRange(9_000) }), null);
      if (admission.kind !== 'refused') return admission.kind;
      return [admission.refusal.reason, admission.refusal.retryAfterMs];
    };
    await pump(store, { count: 20, everyMs: 0, together: 20 });
    expect(await refusal()).toEqual(['capped', 660_000]);
    await clock.advance(120_000);
    expect(await refusal()).toBe('created');
    await clock.advance(5_000);
    expect(await refusal()).toEqual(['slowed', 15_000]);
    await pump(store, { first: 100, count: 40, everyMs: 20_000 });
    expect(await refusal()).toEqual(['blocked', expect.any(Number)]);
  });

  it('says once what it decided', async () => {
    const store = guardedStore('enforce');
    await pump(store, { count: 30, together: 10 });
    await clock.advance(130_000);
    const first = await store.otps.admit(request({ to: inRange(100) }), null);
    expect(first).toMatchObject({ rangeDecision: 'slowed' });
    const second = await store.otps.admit(request({ to: inRange(101) }), null);
    expect(second).not.toHaveProperty('rangeDecision');
  });
});

describe('beside a pumped range', () => {
  it('other ranges, and the same range of another app, are untouched', async () => {
    const store = guardedStore('enforce');
    await pump(store, { count: 200, together: 50 });
    expect(await send(store, { to: number('+60123460000') })).not.toBeNull();
    expect(await send(store, { app: 'bank', to: inRange(1) })).not.toBeNull();
  });

  it('a number of the same range that was verified lately is let through', async () => {
    const store = guardedStore('enforce');
    const known = inRange(7_777);
    await verify(store, (await send(store, { to: known })) ?? '');
    await pump(store, { count: 200, together: 50 });
    expect(await send(store, { to: known })).not.toBeNull();
    expect(await send(store, { to: inRange(7_778) })).toBeNull();
  });

  it('numbers that were verified lately use up no unit of a slowed range', async () => {
    const store = guardedStore('enforce');
    const regulars = [inRange(1), inRange(2)];
    for (const to of regulars) await verify(store, (await send(store, { to })) ?? '');
    await pump(store, { first: 100, count: 30 });
    await clock.advance(130_000);
    await pump(store, { first: 200, count: 1, everyMs: 1_000 });
    let taken = 0;
    for (let n = 0; n < 30; n++) {
      await clock.advance(19_000);
      await send(store, { to: regulars[n % 2] ?? inRange(1) });
      await clock.advance(1_500);
      if ((await send(store, { to: inRange(300 + n) })) !== null) taken += 1;
    }
    expect(taken).toBeGreaterThan(10);
  });

  it('an allowed range is let through', async () => {
    const store = guardedStore('enforce');
    await store.numberLists.set({ list: 'allow', digits: '60123', shown: '', app: null, until: null });
    expect(await pump(store, { count: 200, together: 50 })).toBe(200);
  });

  it('an allowed range is let through at the release of a batch, also by a process that sent nothing yet', async () => {
    const store = guardedStore('enforce');
    const { batch, ids } = await upload(store, { count: 100 });
    expect(await release(store, batch)).toEqual([]);
    await store.numberLists.set({ list: 'allow', digits: '60123', shown: '', app: null, until: null });
    expect(await release(guardedStore('enforce'), batch)).toHaveLength(100 - ids.length);
  });

  it('allowed numbers pass a blocked range uncounted, but keep their cooldown', async () => {
    const store = createStore({
      redis: clock.redis,
      encrypter: createEncrypter([encryptionKey]),
      policy: { ...policy, fraudGuard: 'enforce', recipientCooldownMs: 60_000 },
      operatorPauseKeys: [operatorPauseKey],
      balanceLimits,
    });
    await pump(store, { count: 60, together: 10 });
    expect(await store.otps.admit(request({ to: inRange(9_000) }), null)).toMatchObject(
      refused('range_blocked'),
    );
    const { e164 } = inRange(9_000);
    const entry = { digits: e164.slice(1), shown: '', app: null, until: null };
    await store.numberLists.set({ ...entry, list: 'allow' });
    const [before] = await store.ranges.limited();
    expect(await send(store, { to: inRange(9_000) })).not.toBeNull();
    expect(await store.otps.admit(request({ to: inRange(9_000) }), null)).toMatchObject(
      refused('recipient_rate_limited'),
    );
    expect(await store.otps.admit(request({ to: inRange(9_001) }), null)).toMatchObject(
      refused('range_blocked'),
    );
    const [after] = await store.ranges.limited();
    expect(after).toEqual({ ...before, refused: (before?.refused ?? 0) + 1 });
  });

  it('nothing is refused while the guard only watches, but all that it would refuse is told and counted', async () => {
    const store = guardedStore('monitor');
    const decided: string[] = [];
    for (let n = 0; n < 200; n++) {
      const admission = await store.otps.admit(request({ to: inRange(n) }), null);
      if (admission.kind !== 'created') throw new Error(admission.kind);
      if (admission.rangeDecision) decided.push(admission.rangeDecision);
    }
    expect(decided).toEqual(['capped']);
    expect(await store.ranges.limited()).toMatchObject([
      { app: 'shop', range: '6012345', refused: 0, wouldRefuse: 180 },
    ]);
  });

  it('a range that only has its cap is shown while more is refused', async () => {
    const store = guardedStore('enforce');
    await pump(store, { count: 25 });
    const [capped] = await store.ranges.limited();
    expect(capped).toMatchObject({ slowUntil: 0, blockedUntil: 0, refused: 5, wouldRefuse: 0 });
    expect(capped?.cappedUntil).toBeGreaterThan(clock.now());
    expect(capped?.cappedUntil).toBeLessThanOrEqual(clock.now() + 660_000);
  });

  it('nothing is written about ranges while the guard is off', async () => {
    await pump(guardedStore('off'), { count: 30, together: 30 });
    expect(await redis.keys('*range*')).toEqual([]);
  });

  it('the operator undoes what was decided', async () => {
    const store = guardedStore('enforce');
    await pump(store, { count: 30, together: 10 });
    await clock.advance(130_000);
    await pump(store, { first: 100, count: 2 });
    expect(await store.ranges.limited()).toHaveLength(1);
    expect(await store.ranges.forget('shop', '6012345')).toBe(true);
    expect(await store.ranges.limited()).toEqual([]);
    expect(await pump(store, { first: 200, count: 10 })).toBe(10);
    expect(await store.ranges.forget('shop', '6099999')).toBe(false);
  });
});

describe('a range whose OTPs were not sent', () => {
  it('is not blocked by numbers that iSMS refuses', async () => {
    const store = guardedStore('enforce');
    for (let n = 0; n < 25; n++) {
      const admission = await store.otps.admit(request({ to: inRange(n) }), null);
      if (admission.kind !== 'created') throw new Error(admission.kind);
      await store.sendAttempts.settle(await claimed(store, admission.otp.id), rejected);
    }
    expect(await send(store, { to: inRange(100) })).not.toBeNull();
  });

  it('is not blocked by OTPs that are cancelled before they were sent', async () => {
    const store = guardedStore('enforce');
    for (let n = 0; n < 25; n++) {
      const admission = await store.otps.admit(request({ to: inRange(n) }), null);
      if (admission.kind !== 'created') throw new Error(admission.kind);
      await store.otps.cancel('shop', admission.otp.id);
    }
    expect(await send(store, { to: inRange(100) })).not.toBeNull();
  });

  it('is held up by an outage for three minutes at most', async () => {
    const store = guardedStore('enforce');
    for (let n = 0; n < 20; n++) await store.otps.admit(request({ to: inRange(n) }), null);
    expect(await send(store, { to: inRange(100) })).toBeNull();
    await clock.advance(240_000);
    expect(await send(store, { to: inRange(100) })).not.toBeNull();
  });

  it('is judged a minute after they were sent, however long they waited', async () => {
    const store = guardedStore('enforce');
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) {
      const admission = await store.otps.admit(request({ to: inRange(n), sendDeadlineSeconds: 600 }), null);
      if (admission.kind === 'created') ids.push(admission.otp.id);
    }
    await clock.advance(300_000);
    for (const id of ids) await store.sendAttempts.settle(await claimed(store, id), accepted());
    await clock.advance(5_000);
    await store.otps.admit(request({ to: inRange(100) }), null);
    expect((await store.ranges.limited()).filter(({ slowUntil }) => slowUntil > 0)).toEqual([]);
    await clock.advance(125_000);
    await store.otps.admit(request({ to: inRange(101) }), null);
    expect((await store.ranges.limited()).filter(({ slowUntil }) => slowUntil > 0)).toHaveLength(1);
  });
});

describe('a batch to numbers of one range', () => {
  it('is accepted as a whole, and released as far as the range may have unverified codes', async () => {
    const store = guardedStore('enforce');
    const { batch, ids, refused } = await upload(store, { count: 100 });
    expect(refused).toEqual([]);
    expect(ids).toHaveLength(20);
    expect(await store.waitingLines.count(batch)).toMatchObject({ waiting: 80 });
    expect(await release(store, batch)).toEqual([]);
    await Promise.all(ids.slice(0, 10).map((id) => verify(store, id)));
    await noted();
    // As many as were verified, and a tenth of them.
    expect(await release(store, batch)).toHaveLength(11);
    expect(await store.waitingLines.count(batch)).toMatchObject({ waiting: 69 });
  });

  it('takes no place of single OTPs', async () => {
    const store = guardedStore('enforce');
    expect((await upload(store, { count: 300 })).ids).toHaveLength(20);
    expect(await pump(store, { first: 1_000, count: 60, everyMs: 1 })).toBe(20);
  });

  it('is released at once by a guard that only watches, which tells of nothing', async () => {
    const store = guardedStore('monitor');
    expect((await upload(store, { count: 300 })).ids).toHaveLength(300);
    expect(await store.ranges.limited()).toEqual([]);
  });

  it('waits while the range is slowed, and is refused only while it is blocked', async () => {
    const store = guardedStore('enforce');
    const { batch, ids } = await upload(store, { count: 100 });
    expect(ids).toHaveLength(20);
    await clock.advance(125_000);
    // Slowed: one in 20 seconds.
    expect(await release(store, batch)).toHaveLength(1);
    expect(await release(store, batch)).toEqual([]);
    await clock.advance(21_000);
    expect(await release(store, batch)).toHaveLength(1);
    const slowed = await upload(store, { first: 300, count: 5 });
    expect(slowed.refused).toEqual([]);
    await pump(store, { first: 1_000, count: 900, everyMs: 2_000, together: 10 });
    const blocked = await upload(store, { first: 400, count: 5 });
    expect(blocked.refused).toMatchObject(Array(5).fill(refused('range_blocked', { reason: 'blocked' })));
    expect(await release(store, batch)).toEqual([]);
    expect((await store.waitingLines.count(batch)).waiting).toBeGreaterThan(0);
  });
});

describe('a range that converts', () => {
  it('takes more unverified OTPs at a time, the more were verified before', async () => {
    const store = guardedStore('enforce');
    for (let n = 0; n < 100; n += 10) {
      const some = Array.from({ length: 10 }, (_, i) => inRange(n + i));
      const ids = await Promise.all(some.map((to) => send(store, { to })));
      await Promise.all(ids.map((id) => verify(store, id ?? '')));
      await clock.advance(100_000);
    }
    expect(await pump(store, { first: 1_000, count: 100, together: 100 })).toBe(30);
  });

  it('is not slowed at 40 % verified, and is at 35 %', async () => {
    for (const [share, kept] of [
      [0.4, true],
      [0.35, false],
    ] as const) {
      await redis.flushdb();
      clock = redisClock(redis);
      const store = guardedStore('enforce');
      for (let n = 0; n < 20; n++) {
        const id = await send(store, { to: inRange(n) });
        if (n < 20 * share) await verify(store, id ?? '');
      }
      await clock.advance(125_000);
      await store.otps.admit(request({ to: inRange(100) }), null);
      expect([share, (await store.ranges.limited()).length === 0]).toEqual([share, kept]);
    }
  });
});

/**
 * A day of an app whose people live all over Malaysia: OTPs spread over the day with a rush in the evening, numbers
 * drawn from 2,000 ranges of which some have many customers (Zipf), 85 % verified after 5 to 90 seconds.
 */
describe('a normal day', () => {
  const togetherMs = full ? 30_000 : 120_000;
  it('has less than one OTP in a thousand refused', { timeout: full ? 1_200_000 : 120_000 }, async () => {
    const total = full ? 60_000 : 2_000;
    const store = guardedStore('enforce');
    const random = seededRandom(20_261_124);
    let waiting: { at: number; id: string }[] = [];
    let refused = 0;
    const anyNumber = () => {
      const range = Math.floor(2_000 ** random());
      const operator = ['12', '13', '16', '17', '19'][range % 5];
      const block = 200 + Math.floor(range / 5);
      const subscriber = String(Math.floor(random() * 10_000)).padStart(4, '0');
      return number(`+60${operator}${block}${subscriber}`);
    };
    const ask = async (to: PhoneNumber, typesAt: number) => {
      const id = await send(store, { to });
      if (id === null) refused += 1;
      else if (Number.isFinite(typesAt)) waiting.push({ at: typesAt, id });
    };
    let due = clock.now();
    let people: { to: PhoneNumber; typesAt: number }[] = [];
    for (let n = 0; n < total; n++) {
      const rush = n > total * 0.7 && n < total * 0.85 ? 0.35 : 1.2;
      due += Math.round((86_400_000 / total) * rush * 2 * random());
      // Those of a while are asked for together.
      if (due - clock.now() > togetherMs) {
        await Promise.all(people.map(({ to, typesAt }) => ask(to, typesAt)));
        people = [];
        await clock.advance(due - clock.now());
        const typed = waiting.filter(({ at }) => at <= clock.now());
        waiting = waiting.filter(({ at }) => at > clock.now());
        await Promise.all(typed.map(({ id }) => verify(store, id)));
      }
      const typesAt = random() < 0.85 ? due + 5_000 + 85_000 * random() : Number.POSITIVE_INFINITY;
      people.push({ to: anyNumber(), typesAt });
    }
    faultRow(`a normal day of ${total} OTPs with the guard enforcing`, { refused }, 'A2');
    expect(refused / total).toBeLessThan(0.001);
  });
});

describe('OTPs to test numbers', () => {
  it('count nothing against their range, however often the number is asked for', async () => {
    const store = guardedStore('enforce');
    for (let n = 0; n < 60; n++) {
      const id = await send(store, { to: inRange(1), isTest: true });
      if (id !== null && n % 2 === 0) await verify(store, id);
      await clock.advance(7_000);
    }
    await clock.advance(130_000);
    expect(await store.ranges.limited()).toEqual([]);
    expect(await send(store, { to: inRange(2) })).not.toBeNull();
  });
});
