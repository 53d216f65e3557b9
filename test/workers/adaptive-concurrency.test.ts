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

const note = (outcome: SendOutcome, times = 1) => {
  for (let i = 0; i < times; i++) concurrency.note(outcome);
};

describe('the sends in flight', () => {
  it('begin at the most', () => expect(concurrency.limit).toBe(50));

  it('halve once, however many time out within a second', () => {
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

  it('grow by one with as many answers as there may be in flight', () => {
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

  it('count every answer, a refusal too', () => {
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
    note(unknown);
    now = 5_000;
    note(outcome, 200);
    expect(concurrency.limit).toBe(25);
  });
});
