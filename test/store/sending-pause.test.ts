import { beforeEach, describe, expect, it } from 'vitest';
import { createSealer } from '../../src/store/sealing.js';
import { createSendingPause, type SendingPause } from '../../src/store/sending-pause.js';
import { dataKey, number, policy } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;
let pause: SendingPause;

beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
  const sealer = createSealer([dataKey]);
  pause = createSendingPause({ redis: clock.redis, sealer, policy, operatorPauseKeys: [] });
});

const trouble = 'insufficient_credits';
const report = (claimedAt = clock.now()) => pause.report({ trouble, claimedAt });
/** A refusal of each of these numbers in a row. */
const refuse = (...of: number[]) => {
  const inARow = of.map((n) => ({ to: number(`01234${50_000 + n}`), claimedAt: clock.now() }));
  return pause.noteRefusal({ claimedAt: clock.now(), text: 'Tidak', inARow });
};
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('the pause for account trouble', () => {
  it('begins once, however many workers report it', async () => {
    const reports = await Promise.all([report(), report(), report()]);
    expect(reports.filter(Boolean)).toHaveLength(1);
    expect(await pause.read()).toMatchObject({ trouble, trying: false, text: '', since: clock.now() });
  });

  it('ends once, and then nothing is left of it', async () => {
    await report();
    expect(await pause.resume()).toBe(true);
    expect(await pause.resume()).toBe(false);
    expect(await pause.read()).toBeNull();
  });

  it('is not begun again by claims older than the last resume', async () => {
    await report();
    await pause.resume();
    expect(await report(clock.now() - 1_000)).toBe(false);
    expect(await pause.read()).toBeNull();
    expect(await report(clock.now() + 1_000)).toBe(true);
  });

  it('lets OTPs be tried after 10 s, once, and pauses again with the first refusal', async () => {
    await report();
    await clock.advance(9_999);
    expect(await pause.startTrying()).toBe(false);
    await clock.advance(1);
    expect(await pause.startTrying()).toBe(true);
    expect(await pause.startTrying()).toBe(false);
    expect(await pause.read()).toMatchObject({ trouble, trying: true });
    expect(await pause.reason()).toBe(trouble);
    expect(await report(), 'it is no new pause').toBe(false);
    expect(await pause.read()).toMatchObject({ trying: false, tryInMs: 10_000 });
  });

  it('tries less often the longer it lasts: a pause of 5 minutes costs 13 calls at most', async () => {
    await report();
    let calls = 0;
    for (let second = 0; second < 300; second++) {
      await clock.advance(1_000);
      if (!(await pause.startTrying())) continue;
      calls += 1;
      await report();
    }
    expect(calls).toBeLessThanOrEqual(13);
    expect((await pause.read())?.tryInMs).toBeLessThanOrEqual(60_000);
  });

  it('ends with an accepted call that was claimed after it began, and with no earlier one', async () => {
    await clock.advance(1_000);
    await report();
    expect(await pause.noteAccepted(clock.now() - 500)).toBe(false);
    await clock.advance(10_000);
    await pause.startTrying();
    expect(await pause.noteAccepted(clock.now())).toBe(true);
    expect(await pause.read()).toBeNull();
  });
});

describe('refusals in unknown words', () => {
  it('pause sending with the tenth different number in a row, whoever met them', async () => {
    expect(await refuse(...numbers(5))).toEqual({ kind: 'held', began: false });
    expect(await refuse(5, 6, 7, 8)).toEqual({ kind: 'held', began: false });
    expect(await refuse(9)).toEqual({ kind: 'paused', began: true });
    expect(await pause.read()).toMatchObject({ trouble: 'unrecognised_refusal', text: 'Tidak' });
    expect(await refuse(10)).toEqual({ kind: 'paused', began: false });
  });

  it('never pause it for one number, nor beside other calls that may still be accepted', async () => {
    for (let i = 0; i < 30; i++) expect((await refuse(1)).kind).toBe('held');
    for (let i = 0; i < 30; i++) expect((await refuse()).kind).toBe('held');
  });

  it('begin anew with each accepted call that was claimed later', async () => {
    await refuse(...numbers(9));
    await clock.advance(1);
    await pause.noteAccepted(clock.now());
    expect((await refuse(9)).kind).toBe('held');
    await pause.noteAccepted(clock.now() - 1_000);
    expect((await refuse(...numbers(10))).kind).toBe('paused');
  });

  it('met during a pause count no more when that is over', async () => {
    await report();
    await refuse(...numbers(12));
    await pause.resume();
    await clock.advance(1);
    expect((await refuse(12)).kind).toBe('held');
  });

  it('of a call claimed before the last resume say nothing any more', async () => {
    const before = clock.now();
    await report();
    await pause.resume();
    expect(await pause.noteRefusal({ claimedAt: before, text: '', inARow: [] })).toEqual({
      kind: 'again',
      began: false,
    });
  });
});

describe('an OTP that was refused in unknown words', () => {
  it('is held until a call that was claimed a second later is accepted, and then ends', async () => {
    const refusedAt = clock.now();
    await refuse(1);
    await clock.advance(1_000);
    await pause.noteAccepted(clock.now());
    expect(await pause.judgeRefusal(refusedAt)).toBe('held');
    await clock.advance(1);
    await pause.noteAccepted(clock.now());
    expect(await pause.judgeRefusal(refusedAt)).toBe('final');
  });

  it('ends after 3 s when nothing else is refused, and after 10 s when others are', async () => {
    const refusedAt = clock.now();
    await refuse(1);
    await clock.advance(2_999);
    expect(await pause.judgeRefusal(refusedAt)).toBe('held');
    await refuse(2);
    await clock.advance(9_999);
    expect(await pause.judgeRefusal(refusedAt)).toBe('held');
    await clock.advance(1);
    expect(await pause.judgeRefusal(refusedAt)).toBe('final');
  });

  it('is sent again once sending was paused, also after that is over', async () => {
    const refusedAt = clock.now();
    await refuse(...numbers(10));
    expect(await pause.judgeRefusal(refusedAt)).toBe('again');
    await clock.advance(60_000);
    await pause.noteAccepted(clock.now());
    expect(await pause.read()).toBeNull();
    expect(await pause.judgeRefusal(refusedAt)).toBe('again');
  });
});
