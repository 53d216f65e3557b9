import { beforeEach, describe, expect, it } from 'vitest';
import { createSendingPause, type SendingPause } from '../../src/store/sending-pause.js';
import { createPauseGate, type PauseGate } from '../../src/workers/pause-gate.js';
import { policy } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;
let pause: SendingPause;
let leases: Map<string, { token: string; until: number }>;
let resumed: number;

beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
  pause = createSendingPause({ redis: clock.redis, policy, operatorPauseKeys: [] });
  leases = new Map();
  resumed = 0;
});

/** Leases as Redis has them, on the clock that the test moves. */
const renewLease = async (name: string, token: string, periodMs: number) => {
  const held = leases.get(name);
  if (held && held.token !== token && held.until > clock.now()) return false;
  leases.set(name, { token, until: clock.now() + periodMs });
  return true;
};
const quietLogger = { info: () => {}, warn: () => {}, error: () => {} };
const gateOf = (over: Partial<SendingPause> = {}): PauseGate =>
  createPauseGate({
    store: { sendingPause: { ...pause, ...over }, renewLease, acquireLease: async () => true },
    provider: { balance: async () => ({ kind: 'known', credits: 100, expiresOn: null }) },
    now: clock.now,
    onChange: () => {},
    onResumed: () => {
      resumed += 1;
    },
    logger: quietLogger,
  });
const trouble = 'account_suspended';

describe('the worker that tries OTPs while sending is paused', () => {
  it('lets another worker try when it made no call for 5 s', async () => {
    await pause.report({ trouble, claimedAt: clock.now() });
    const gates = [gateOf(), gateOf()];
    await clock.advance(10_000);
    const tried = new Set<number>();
    for (let second = 0; second < 15; second++) {
      for (const gate of gates) await gate.check();
      const [first, other] = gates.map(({ state }) => state);
      expect([first, other].filter((state) => state === 'trial').length).toBeLessThanOrEqual(1);
      if (first === 'trial') tried.add(0);
      if (other === 'trial') tried.add(1);
      await clock.advance(1_000);
    }
    expect(tried).toEqual(new Set([0, 1]));
  });

  it('remains the one that tries while it makes calls', async () => {
    await pause.report({ trouble, claimedAt: clock.now() });
    const gate = gateOf();
    await clock.advance(10_000);
    for (let second = 0; second < 12; second++) {
      await gate.check();
      expect(gate.state).toBe('trial');
      gate.noteCall();
      await clock.advance(1_000);
    }
  });

  it('ends the pause when iSMS refused no OTP with the trouble for 30 s', async () => {
    await pause.report({ trouble, claimedAt: clock.now() });
    const gate = gateOf();
    await clock.advance(10_000);
    await gate.check();
    await clock.advance(30_000);
    await gate.check();
    expect([gate.state, resumed, await pause.read()]).toEqual(['open', 1, null]);
  });
});

describe('a worker that met account trouble', () => {
  it('continues as before when its report comes too late to count', async () => {
    const claimedAt = clock.now();
    await pause.report({ trouble, claimedAt });
    await pause.resume();
    const gate = gateOf();
    await gate.report({ trouble, claimedAt });
    expect([gate.state, resumed]).toEqual(['open', 0]);
  });

  it('ends the pause with an accepted call that Redis could not record at first', async () => {
    let isAway = true;
    const gate = gateOf({
      resume: async (accepted) => (isAway ? Promise.reject(new Error('away')) : pause.resume(accepted)),
    });
    await gate.report({ trouble, claimedAt: clock.now() });
    await clock.advance(1);
    gate.noteAccepted(clock.now());
    await Promise.resolve();
    isAway = false;
    await gate.check();
    expect([gate.state, resumed, await pause.read()]).toEqual(['open', 1, null]);
  });
});
