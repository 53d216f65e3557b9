import { describe, expect, it } from 'vitest';
import {
  accountTroubles,
  backoffMs,
  type SendOutcome,
  sendHealthSignal,
  spendsRetry,
  type VerifyOutcome,
  verifyHealthSignal,
} from '../../src/otp/outcome.js';

const kept = ['stale_claim', 'circuit_open', 'retry_budget'] as const;
const unreached = ['not_connected', 'too_many_requests'] as const;
const unknowns = ['timeout', 'connection_lost', 'server_error', 'redirect', 'reply_not_json'] as const;

describe('sendHealthSignal', () => {
  it.each<SendOutcome>([
    { kind: 'accepted', uuid: 'u', smsId: '1' },
    { kind: 'rejected', failure: 'invalid_number' },
    ...accountTroubles.map((trouble) => ({ kind: 'account_trouble', trouble }) as const),
  ])('is success for $kind', (outcome) => expect(sendHealthSignal(outcome)).toBe('success'));

  it.each<SendOutcome>([
    ...unreached.map((reason) => ({ kind: 'unsent', reason }) as const),
    ...unknowns.map((reason) => ({ kind: 'unknown', reason }) as const),
  ])('is failure for $kind, $reason', (outcome) => expect(sendHealthSignal(outcome)).toBe('failure'));

  it.each(kept)('is ignored for a call that the gateway did not make: %s', (reason) =>
    expect(sendHealthSignal({ kind: 'unsent', reason })).toBe('ignored'),
  );
});

describe('verifyHealthSignal', () => {
  it.each<VerifyOutcome>([
    { kind: 'correct' },
    { kind: 'incorrect' },
    ...accountTroubles.map((reason) => ({ kind: 'unavailable', reason }) as const),
  ])('is success for $kind', (outcome) => expect(verifyHealthSignal(outcome)).toBe('success'));

  it.each<VerifyOutcome>([
    ...unreached.map((reason) => ({ kind: 'unsent', reason }) as const),
    ...unknowns.map((reason) => ({ kind: 'unavailable', reason }) as const),
  ])('is failure for $kind, $reason', (outcome) => expect(verifyHealthSignal(outcome)).toBe('failure'));

  it.each(kept)('is ignored for a call that the gateway did not make: %s', (reason) =>
    expect(verifyHealthSignal({ kind: 'unsent', reason })).toBe('ignored'),
  );
});

describe('spendsRetry', () => {
  it.each(kept)('is false for a call that the gateway did not make: %s', (reason) =>
    expect(spendsRetry(reason)).toBe(false),
  );
  it.each(unreached)('is true for a call that iSMS did not process: %s', (reason) =>
    expect(spendsRetry(reason)).toBe(true),
  );
});

const many = (tries: number, remainingMs: number) =>
  Array.from({ length: 2_000 }, () => backoffMs(tries, remainingMs));

it('backoffMs doubles the ceiling with each try, up to a minute, with full jitter', () => {
  expect(Math.max(...many(1, 1e9))).toBeLessThan(1_000);
  expect(Math.max(...many(4, 1e9))).toBeGreaterThan(7_000);
  expect(Math.min(...many(4, 1e9))).toBeLessThan(1_000);
  expect(Math.max(...many(30, 1e9))).toBeLessThan(60_000);
});

it('backoffMs never waits past the deadline', () => {
  expect(Math.max(...many(10, 500))).toBeLessThan(500);
  expect(backoffMs(3, -1)).toBe(0);
});
