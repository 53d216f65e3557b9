import { describe, expect, it } from 'vitest';
import { refuseByLimit } from '../../src/otp/refusal.js';

describe('the refusal of an OTP to a number in its cooldown', () => {
  const cooldown = { name: 'recipient-cooldown', quota: 1, windowMs: 30_000, remaining: 0 };

  it.each([
    [29_990, 'just now; try again in 30 s'],
    [29_000, '1 s ago; try again in 29 s'],
    [28_001, '1 s ago; try again in 29 s'],
    [400, '29 s ago; try again in 1 s'],
  ])('says with %i ms left that the last code was requested %s', (retryAfterMs, said) => {
    const { message } = refuseByLimit('recipient', {
      retryAfterMs,
      quotas: [{ ...cooldown, resetMs: retryAfterMs }],
    });
    expect(message).toBe(`The last code to this number was requested ${said}.`);
  });
});
