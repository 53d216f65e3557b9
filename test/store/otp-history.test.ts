import { expect, it } from 'vitest';
import type { VerifyOutcome } from '../../src/otp/outcome.js';
import { keys } from '../../src/store/keys.js';
import { accepted, admitted, claimed, policy, rejected, sent, testStore, unsent } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const redis = await connect();
const clock = redisClock(redis);
const store = testStore(clock.redis);

const historyOf = async (id: string) => (await store.otps.findWithHistory(id))?.history ?? [];
const stepsOf = async (id: string) =>
  (await historyOf(id)).map(({ what, outcome, times }) => [what, outcome, times]);
let tokens = 0;
const verify = async (id: string, outcome: VerifyOutcome['kind'] | null) => {
  const verification = { app: 'shop', id, token: `token-${++tokens}`, replay: null };
  expect(await store.verificationAttempts.admit(verification)).toMatchObject({ kind: 'admitted' });
  if (outcome) await store.verificationAttempts.settle(verification, outcome);
};

it('is told by the other fields alone for an OTP that is sent and verified at once', async () => {
  const id = await sent(store);
  await verify(id, 'correct');
  expect(await redis.get(keys.recordOfId(id))).not.toMatch(/Log/);
  expect(await stepsOf(id)).toEqual([
    ['accepted', null, 1],
    ['sent', null, 1],
    ['verified', null, 1],
  ]);
  const [accepted, send] = await historyOf(id);
  expect(send?.from).toBeGreaterThanOrEqual(accepted?.at ?? Number.POSITIVE_INFINITY);
});

it('has each send that was not accepted with its outcome, equal ones in a row as one', async () => {
  const id = await admitted(store);
  const outcomes = [unsent, unsent, { kind: 'unsent', reason: 'circuit_open' } as const];
  for (const outcome of outcomes) await store.sendAttempts.settle(await claimed(store, id), outcome);
  expect(await stepsOf(id)).toEqual([
    ['accepted', null, 1],
    ['send', 'not_connected', 2],
    ['send', 'circuit_open', 1],
  ]);
  await store.sendAttempts.settle(await claimed(store, id), accepted());
  expect((await stepsOf(id)).at(-1)).toEqual(['sent', null, 1]);
});

it('names why an OTP failed, and when its last call began', async () => {
  const id = await admitted(store);
  const claim = await claimed(store, id);
  await store.sendAttempts.settle(claim, rejected);
  expect((await historyOf(id)).slice(1)).toMatchObject([
    { what: 'send', outcome: 'invalid_number', from: claim.claimedAt },
    { what: 'failed', outcome: 'invalid_number' },
  ]);
});

it('has an attempt whose worker ended, and the answer that came late', async () => {
  const id = await admitted(store);
  const claim = await claimed(store, id);
  expect((await stepsOf(id)).at(-1)).toEqual(['sending', null, 1]);
  await clock.advance(policy.sendLeaseMs);
  expect(await stepsOf(id)).toEqual([
    ['accepted', null, 1],
    ['send', 'worker_lost', 1],
  ]);
  await store.sendAttempts.settle(claim, accepted());
  expect((await stepsOf(id)).slice(1)).toEqual([
    ['send', 'worker_lost', 1],
    ['sent', null, 1],
  ]);
});

it('has each verification with its outcome, one without an answer too, and why the OTP ended', async () => {
  const id = await sent(store, { maxAttempts: 4 });
  for (const outcome of ['incorrect', 'unsent', 'incorrect'] as const) await verify(id, outcome);
  await verify(id, null);
  expect((await stepsOf(id)).at(-1)).toEqual(['verification', 'unanswered', 1]);
  await verify(id, 'unrecognised');
  await clock.advance(policy.verifyLeaseMs);
  expect(await stepsOf(id)).toEqual([
    ['accepted', null, 1],
    ['sent', null, 1],
    ['verification', 'incorrect', 1],
    ['verification', 'unsent', 1],
    ['verification', 'incorrect', 1],
    ['verification', 'unrecognised', 1],
    ['verification', 'unanswered', 1],
    ['locked', null, 1],
  ]);
});

it('names an expiry and a cancellation', async () => {
  const late = await admitted(store, { sendDeadlineSeconds: 1 });
  await clock.advance(1_000);
  expect((await stepsOf(late)).at(-1)).toEqual(['expired', 'not_sent_in_time', 1]);
  const cancelled = await sent(store);
  await store.otps.cancel('shop', cancelled);
  expect((await stepsOf(cancelled)).at(-1)).toEqual(['cancelled', null, 1]);
});

it('keeps the newest 20 entries', async () => {
  const id = await admitted(store);
  const reasons = ['circuit_open', 'retry_budget'] as const;
  for (let i = 0; i < 30; i++) {
    const reason = reasons[i % 2] ?? 'circuit_open';
    await store.sendAttempts.settle(await claimed(store, id), { kind: 'unsent', reason });
  }
  expect((await stepsOf(id)).filter(([what]) => what === 'send')).toHaveLength(20);
});
