import { beforeEach, describe, expect, it } from 'vitest';
import { createSendingPause } from '../../src/store/sending-pause.js';
import { policy } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const pause = createSendingPause({ redis, policy, operatorPauseKeys: [] });
const trouble = { trouble: 'insufficient_credits', claimedAt: Date.now() + 1, credits: 1 } as const;

beforeEach(async () => {
  await redis.flushdb();
});

describe('the pause for account trouble', () => {
  it('begins once, however many workers report it, and remembers the dearest refused send', async () => {
    const reports = [pause.report(trouble), pause.report({ ...trouble, credits: 3 }), pause.report(trouble)];
    expect((await Promise.all(reports)).filter(Boolean)).toHaveLength(1);
    expect(await pause.read()).toMatchObject({ trouble: 'insufficient_credits', creditsNeeded: 3 });
  });

  it('ends once, and then nothing is left of it', async () => {
    await pause.report(trouble);
    expect(await pause.resume()).toBe(true);
    expect(await pause.resume()).toBe(false);
    expect(await pause.read()).toBeNull();
  });

  it('is not begun again by claims older than the last resume', async () => {
    await pause.report(trouble);
    await pause.resume();
    expect(await pause.report({ ...trouble, claimedAt: Date.now() - 1_000 })).toBe(false);
    expect(await pause.read()).toBeNull();
    expect(await pause.report({ ...trouble, claimedAt: Date.now() + 1_000 })).toBe(true);
  });
});
