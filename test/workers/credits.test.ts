import { expect, it } from 'vitest';
import type { BalanceOutcome } from '../../src/otp/outcome.js';
import { createCredits } from '../../src/workers/credits.js';

const known = (credits: number): BalanceOutcome => ({ kind: 'known', credits, expiresOn: null });

it('a balance call that hangs keeps no OTP back for longer than half a minute', async () => {
  let now = 0;
  let answer: () => Promise<BalanceOutcome> = async () => known(2);
  const credits = createCredits({ balance: () => answer() }, () => now);
  expect(credits.cover(3), 'nothing is known').toBe(true);
  await credits.balance();
  expect([credits.cover(3), credits.cover(2)]).toEqual([false, true]);
  answer = () => new Promise(() => {});
  now = 29_999;
  expect(credits.cover(3)).toBe(false);
  now = 30_000;
  expect(credits.cover(3)).toBe(true);
});

it('a balance that was too low is asked for again before it is too old to count', async () => {
  let now = 0;
  let left = 2;
  const credits = createCredits({ balance: async () => known(left) }, () => now);
  await credits.balance();
  left = 50;
  now = 10_000;
  expect(credits.cover(3)).toBe(false);
  await credits.balance();
  expect(credits.cover(3)).toBe(true);
});
