import { beforeEach, describe, expect, it } from 'vitest';
import { createSendingPause, type SendingPause } from '../../src/store/sending-pause.js';
import { policy } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;
let pause: SendingPause;

beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
  pause = createSendingPause({ redis: clock.redis, policy, operatorPauseKeys: [] });
});

const trouble = 'insufficient_credits';
const report = (claimedAt = clock.now()) => pause.report({ trouble, claimedAt });
describe('the pause for account trouble', () => {
  it('begins once, however many workers report it', async () => {
    const reports = await Promise.all([report(), report(), report()]);
    expect(reports.toSorted()).toEqual(['began', 'paused', 'paused']);
    expect(await pause.read()).toMatchObject({ trouble, triedForMs: null, since: clock.now() });
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
    expect(await report(clock.now() - 1_000)).toBe('ignored');
    expect(await pause.read()).toBeNull();
    expect(await report(clock.now() + 1_000)).toBe('began');
  });

  it('lets OTPs be tried after 10 s, once, and pauses again with the first refusal', async () => {
    await report();
    await clock.advance(9_999);
    expect(await pause.startTrying()).toBe(false);
    await clock.advance(1);
    expect(await pause.startTrying()).toBe(true);
    expect(await pause.startTrying()).toBe(false);
    expect(await pause.read()).toMatchObject({ trouble, triedForMs: 0 });
    expect(await pause.reason()).toBe(trouble);
    expect(await report(clock.now() - 1), 'a call of before').toBe('ignored');
    expect(await report(), 'it is no new pause').toBe('paused');
    expect(await pause.read()).toMatchObject({ triedForMs: null, tryInMs: 10_000 });
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
    expect(await pause.resume({ claimedAt: clock.now() - 500 })).toBe(false);
    await clock.advance(10_000);
    await pause.startTrying();
    expect(await pause.resume({ claimedAt: clock.now() })).toBe(true);
    expect(await pause.read()).toBeNull();
  });
});
