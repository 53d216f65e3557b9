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
const grow = () => note(accepted(), 154);

const note = (outcome: SendOutcome, times = 1) => {
  for (let i = 0; i < times; i++) concurrency.note(outcome);
};

describe('the sends in flight', () => {
  it('begin with 4, or fewer', () => {
    expect(concurrency.limit).toBe(4);
    expect(createAdaptiveConcurrency(2, () => now).limit).toBe(2);
  });

  it('begin with one for each queue', () => {
    expect(createAdaptiveConcurrency(50, () => now, 8).limit).toBe(8);
    expect(createAdaptiveConcurrency(6, () => now, 8).limit).toBe(6);
  });

  it('grow by one with four accepted sends up to 40, then with each', () => {
    note(accepted(), 4);
    expect(concurrency.limit).toBe(5);
    note(accepted(), 4 * 35);
    expect(concurrency.limit).toBe(40);
    note(accepted(), 3);
    expect(concurrency.limit).toBe(43);
  });

  it('do not grow with refusals, which say nothing about others', () => {
    note(rejected, 100);
    note(blocked, 100);
    expect(concurrency.limit).toBe(4);
  });

  it('halve with each second in which less than half of them were used, down to 4', () => {
    grow();
    concurrency.forgetUnused(25);
    expect(concurrency.limit).toBe(50);
    concurrency.forgetUnused(24);
    expect(concurrency.limit).toBe(25);
    for (let i = 0; i < 10; i++) concurrency.forgetUnused(0);
    expect(concurrency.limit).toBe(4);
  });

  it('begin with 4 again after a pause', () => {
    grow();
    concurrency.restart();
    expect(concurrency.limit).toBe(4);
  });

  it('halve once, however many time out within a second', () => {
    grow();
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

  it('grow by one with as many answers as there may be in flight, once one timed out', () => {
    grow();
    note(unknown);
    note(accepted(), 24);
    expect(concurrency.limit).toBe(25);
    note(accepted());
    expect(concurrency.limit).toBe(26);
    note(accepted(), 26 + 27);
    expect(concurrency.limit).toBe(28);
  });

  it('never grow beyond the most', () => {
    note(accepted(), 10_000);
    expect(concurrency.limit).toBe(50);
  });

  it('count every answer once one timed out, a refusal too', () => {
    grow();
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
    grow();
    note(unknown);
    now = 5_000;
    note(outcome, 200);
    expect(concurrency.limit).toBe(25);
  });
});
