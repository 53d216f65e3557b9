import { beforeEach, describe, expect, it } from 'vitest';
import type { SendOutcome } from '../../src/otp/outcome.js';
import {
  type AdaptiveConcurrency,
  createAdaptiveConcurrency,
} from '../../src/workers/adaptive-concurrency.js';
import { accepted, blocked, deferred, rejected, unknown } from '../support/otps.js';

let now: number;
let concurrency: AdaptiveConcurrency;

beforeEach(() => {
  now = 0;
  concurrency = createAdaptiveConcurrency(50, () => now);
});

/** As many accepted sends as it takes. */
const prove = () => note(accepted(), 109);

const note = (outcome: SendOutcome, times = 1) => {
  for (let i = 0; i < times; i++) concurrency.note(outcome);
};

/** Round trips until a burst of so many OTPs is answered, each as long as one call. */
function roundTrips(burst: number): number {
  let rounds = 0;
  for (let left = burst; left > 0; rounds++) {
    const calls = Math.min(left, concurrency.limit);
    note(accepted(), calls);
    left -= calls;
  }
  return rounds;
}

describe('the sends in flight', () => {
  it('begin with 16, or fewer', () => {
    expect(concurrency.limit).toBe(16);
    expect(createAdaptiveConcurrency(2, () => now).limit).toBe(2);
  });

  it('begin with one for each queue', () => {
    expect(createAdaptiveConcurrency(50, () => now, 18).limit).toBe(18);
    expect(createAdaptiveConcurrency(6, () => now, 8).limit).toBe(6);
  });

  it('stay below 20 until 75 were accepted, then grow by one with each', () => {
    note(accepted(), 75);
    expect(concurrency.limit).toBe(16);
    note(accepted(), 3);
    expect(concurrency.limit).toBe(19);
    note(accepted(), 10_000);
    expect(concurrency.limit).toBe(50);
  });

  it.each([
    [50, 4],
    [100, 6],
    [200, 9],
  ])('answer a burst of %d on an idle worker in %d round trips', (burst, trips) => {
    expect(roundTrips(burst)).toBe(trips);
  });

  it('answer a burst of 50 in one round trip where enough were accepted within a minute', () => {
    prove();
    now = 59_999;
    expect(roundTrips(50)).toBe(1);
  });

  it('do not grow with refusals, which say nothing about others', () => {
    note(rejected, 100);
    note(blocked, 100);
    expect(concurrency.limit).toBe(16);
  });

  it('begin with 16 again after a minute without an accepted call, and after a pause', () => {
    prove();
    now = 60_000;
    expect(concurrency.limit).toBe(16);
    prove();
    expect(concurrency.limit).toBe(50);
    concurrency.restart();
    expect(concurrency.limit).toBe(16);
  });

  it('halve once, however many time out within a second', () => {
    prove();
    note(unknown, 50);
    now = 999;
    note(unknown, 50);
    expect(concurrency.limit).toBe(25);
    now = 1_000;
    note(unknown);
    expect(concurrency.limit).toBe(12);
  });

  it('never fall below one', () => {
    for (now = 0; now < 20_000; now += 1_000) note(unknown);
    expect(concurrency.limit).toBe(1);
  });

  it('grow by one with as many answers as there may be in flight, once one timed out, up to the most', () => {
    prove();
    note(unknown);
    note(accepted(), 24);
    expect(concurrency.limit).toBe(25);
    note(accepted());
    expect(concurrency.limit).toBe(26);
    // Steady traffic that never uses half of them.
    for (; now < 300_000; now += 1_000) note(accepted(), 5);
    expect(concurrency.limit).toBe(50);
  });

  it('count every answer once one timed out, a refusal too', () => {
    prove();
    note(unknown);
    note(rejected, 13);
    note(blocked, 12);
    expect(concurrency.limit).toBe(26);
  });

  it.each<SendOutcome>([
    deferred,
    { kind: 'deferred', reason: 'circuit_open' },
    { kind: 'unknown', reason: 'connection_lost' },
  ])('stay as they are with $reason', (outcome) => {
    prove();
    note(unknown);
    now = 5_000;
    note(outcome, 200);
    expect(concurrency.limit).toBe(25);
  });
});
