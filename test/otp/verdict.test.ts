import { describe, expect, it } from 'vitest';
import { accountTroubles, type SendOutcome, spendsRetry, type VerifyOutcome } from '../../src/otp/outcome.js';
import { sendVerdict, verifyVerdict } from '../../src/otp/verdict.js';

const kept = ['stale_claim', 'circuit_open', 'retry_budget'] as const;
const unreached = ['not_connected', 'too_many_requests'] as const;
const unknowns = ['timeout', 'connection_lost', 'server_error', 'redirect', 'reply_not_json'] as const;

describe('a send says of the provider', () => {
  it.each<SendOutcome>([
    { kind: 'accepted', uuid: 'u', smsId: '1' },
    { kind: 'rejected', failure: 'invalid_number' },
    ...accountTroubles.map((trouble) => ({ kind: 'blocked', trouble }) as const),
  ])('well: $kind', (outcome) => expect(sendVerdict(outcome)).toBe('well'));

  it.each<SendOutcome>([
    ...unreached.map((reason) => ({ kind: 'deferred', reason }) as const),
    ...unknowns.map((reason) => ({ kind: 'unknown', reason }) as const),
  ])('ill: $kind, $reason', (outcome) => expect(sendVerdict(outcome)).toBe('ill'));

  it.each(kept)('nothing, when it was kept back: %s', (reason) =>
    expect(sendVerdict({ kind: 'deferred', reason })).toBe('silent'),
  );
});

describe('a verification says of the provider', () => {
  it.each<VerifyOutcome>([
    { kind: 'correct' },
    { kind: 'incorrect' },
    ...accountTroubles.map((reason) => ({ kind: 'unavailable', reason }) as const),
  ])('well: $kind', (outcome) => expect(verifyVerdict(outcome)).toBe('well'));

  it.each<VerifyOutcome>([
    ...unreached.map((reason) => ({ kind: 'unsent', reason }) as const),
    ...unknowns.map((reason) => ({ kind: 'unavailable', reason }) as const),
  ])('ill: $kind, $reason', (outcome) => expect(verifyVerdict(outcome)).toBe('ill'));

  it.each(kept)('nothing, when it was kept back: %s', (reason) =>
    expect(verifyVerdict({ kind: 'unsent', reason })).toBe('silent'),
  );
});

describe('a retry', () => {
  it.each(kept)('is not used by waiting that is our own doing: %s', (reason) =>
    expect(spendsRetry(reason)).toBe(false),
  );
  it.each(unreached)('is used by a call that iSMS did not take: %s', (reason) =>
    expect(spendsRetry(reason)).toBe(true),
  );
});
