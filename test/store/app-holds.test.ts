import { beforeEach, describe, expect, it } from 'vitest';
import { type AppHolds, createAppHolds } from '../../src/store/app-holds.js';
import { createEncrypter } from '../../src/store/encryption.js';
import { keys } from '../../src/store/keys.js';
import { encryptionKey, number, policy, request, testStore } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;
let holds: AppHolds;

beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
  holds = createAppHolds({ redis: clock.redis, encrypter: createEncrypter([encryptionKey]), policy });
});

/** A refusal of each of these numbers in a row, claimed now. */
const refuse = (app: string, ...of: number[]) => {
  const refusals = of.map((n) => ({ to: number(`01234${50_000 + n}`), claimedAt: clock.now() }));
  return holds.noteRefusals({ app, text: 'Tidak', refusals });
};
const accept = (app: string, claimedAt = clock.now()) => holds.noteAccepted(new Map([[app, claimedAt]]));
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const classify = (claimedAt: number, firstAt = claimedAt) =>
  holds.classifyRefusal('shop', { failure: 'rejected', claimedAt, firstAt });
const none = { began: false, onHold: false };

describe('the hold of an app', () => {
  it('begins once, with its tenth different number refused in a row, in whichever workers', async () => {
    expect(await refuse('shop', ...numbers(5))).toEqual(none);
    expect(await refuse('shop', 5, 6, 7, 8)).toEqual(none);
    expect(await refuse('shop', 9)).toEqual({ began: true, onHold: true });
    expect(await refuse('shop', 10)).toEqual({ began: false, onHold: true });
    expect(await holds.read()).toEqual([{ app: 'shop', since: clock.now(), text: 'Tidak', tryInMs: 10_000 }]);
  });

  it('is not begun by other apps, by one number again and again, nor by refusals before an accepted call', async () => {
    for (const app of ['a', 'b', 'c']) expect(await refuse(app, ...numbers(9))).toEqual(none);
    for (let i = 0; i < 30; i++) expect(await refuse('shop', 1)).toEqual(none);
    await clock.advance(1);
    await accept('a');
    expect(await refuse('a', 9)).toEqual(none);
  });

  it('is not begun by refusals that are an hour apart', async () => {
    await refuse('shop', ...numbers(9));
    await clock.advance(3_600_001);
    expect(await refuse('shop', 9)).toEqual(none);
  });

  it('ends at once with an accepted call that was claimed after it began', async () => {
    await refuse('shop', ...numbers(10));
    expect(await accept('shop'), 'claimed before').toEqual([]);
    await clock.advance(1);
    expect(await accept('mall')).toEqual([]);
    expect(await accept('shop')).toEqual(['shop']);
    expect(await holds.read()).toEqual([]);
    expect(await holds.takeTrial('shop')).toBeNull();
  });

  it('ends when another worker says too late that a call was accepted among the refused ones', async () => {
    await refuse('shop', ...numbers(5));
    await clock.advance(1);
    const acceptedAt = clock.now();
    await clock.advance(1);
    expect(await refuse('shop', 5, 6, 7, 8, 9)).toEqual({ began: true, onHold: true });
    expect(await accept('shop', acceptedAt)).toEqual(['shop']);
    expect(await holds.read()).toEqual([]);
  });

  it('is not ended by a call that was claimed before it, once an OTP was tried', async () => {
    await refuse('shop', ...numbers(5));
    await clock.advance(1);
    const acceptedAt = clock.now();
    await clock.advance(1);
    await refuse('shop', 5, 6, 7, 8, 9);
    await clock.advance(10_000);
    expect(await holds.takeTrial('shop')).toBe(0);
    expect(await accept('shop', acceptedAt)).toEqual([]);
  });

  it('is tried by one caller after 10 s, and less often the longer it lasts: 13 times in 5 minutes at most', async () => {
    await refuse('shop', ...numbers(10));
    expect(await holds.takeTrial('shop')).toBe(10_000);
    await clock.advance(10_000);
    const taken = await Promise.all([holds.takeTrial('shop'), holds.takeTrial('shop')]);
    expect(taken).toEqual([0, 10_000]);
    let calls = 1;
    for (let second = 10; second < 300; second++) {
      await clock.advance(1_000);
      if ((await holds.takeTrial('shop')) === 0) calls += 1;
    }
    expect(calls).toBeLessThanOrEqual(13);
    expect(await holds.takeTrial('shop')).toBeLessThanOrEqual(60_000);
  });

  it('gives a trial with which no call was made to the next caller', async () => {
    await refuse('shop', ...numbers(10));
    await clock.advance(40_000);
    expect(await holds.takeTrial('shop')).toBe(0);
    await holds.returnTrial('shop');
    await holds.returnTrial('mall');
    expect(await holds.takeTrial('shop')).toBe(0);
    expect(await holds.takeTrial('shop')).toBe(10_000);
    expect(await holds.takeTrial('mall')).toBeNull();
  });

  it('has new OTPs of the app refused, and of no other, until one may be tried', async () => {
    const store = testStore(clock.redis);
    const admit = async (app: string) => (await store.otps.admit(request({ app }), null)).kind;
    await refuse('shop', ...numbers(10));
    expect([await admit('shop'), await admit('mall')]).toEqual(['refused', 'created']);
    await clock.advance(10_000);
    expect(await admit('shop')).toBe('created');
    await holds.takeTrial('shop');
    expect(await admit('shop')).toBe('refused');
  });

  it('keeps no number that was refused for more than an hour, also of an app that sends nothing more', async () => {
    await refuse('shop', ...numbers(3));
    await clock.advance(3_600_001);
    await holds.read();
    expect(await redis.hget(keys.appCalls, 'shop')).not.toContain('refusals');
  });

  it('is forgotten a day after the last call', async () => {
    await refuse('shop', ...numbers(10));
    await clock.advance(86_400_000 + 10_001);
    expect(await holds.read()).toEqual([]);
  });
});

describe('an OTP with an unrecognised refusal', () => {
  it('is held until a call of its app that was claimed a second later is accepted, and then ends', async () => {
    const refusedAt = clock.now();
    await refuse('shop', 1);
    await clock.advance(1_000);
    await accept('shop');
    expect(await classify(refusedAt)).toBe('held');
    await clock.advance(1);
    await accept('mall');
    expect(await classify(refusedAt)).toBe('held');
    await accept('shop');
    expect(await classify(refusedAt)).toBe('final');
  });

  it('ends after 3 s when nothing else of its app is refused, and after 10 s when others are', async () => {
    const refusedAt = clock.now();
    await refuse('shop', 1);
    await refuse('mall', 1, 2, 3);
    await clock.advance(2_999);
    expect(await classify(refusedAt)).toBe('held');
    await refuse('shop', 2);
    await clock.advance(9_999);
    expect(await classify(refusedAt)).toBe('held');
    await clock.advance(1);
    expect(await classify(refusedAt)).toBe('final');
  });

  it('is held while its app is on hold, and sent again when that is over', async () => {
    const refusedAt = clock.now();
    await refuse('shop', ...numbers(10));
    await clock.advance(60_000);
    expect(await classify(refusedAt)).toBe('held');
    await accept('shop');
    expect(await classify(refusedAt)).toBe('again');
  });

  it('ends when it is refused again after a call of its app was accepted, not by being refused twice in one hold', async () => {
    const firstAt = clock.now();
    await refuse('shop', ...numbers(10));
    await clock.advance(10_000);
    const secondAt = clock.now();
    expect(await classify(secondAt, firstAt)).toBe('held');
    await clock.advance(1);
    await accept('shop');
    expect(await classify(secondAt, firstAt)).toBe('again');
    await clock.advance(1);
    const thirdAt = clock.now();
    await refuse('shop', 1);
    expect(await classify(thirdAt, firstAt)).toBe('final');
    await refuse('shop', ...numbers(10));
    expect(await classify(thirdAt, firstAt), 'also in the next hold').toBe('final');
  });
});
