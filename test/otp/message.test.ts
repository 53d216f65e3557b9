import { describe, expect, it } from 'vitest';
import { parseMessage, senderIdShape } from '../../src/otp/message.js';

const filled = (length: number, letter = 'a') => `${letter.repeat(length - 6)}%OTP%`;

describe('parseMessage', () => {
  it.each([
    [filled(153), 1],
    [filled(154), 2],
    [filled(63, '验'), 1],
    [filled(64, '验'), 2],
  ])('bills 153 ASCII or 63 Unicode characters a credit', (template, credits) => {
    expect(parseMessage(template)).toMatchObject({ credits });
  });

  it('counts characters of the GSM extension table twice', () => {
    expect(parseMessage(`${'a'.repeat(146)}{%OTP%`)).toMatchObject({ credits: 2, unicode: false });
  });

  it.each(['Your code', '%OTP% and %OTP%', '%otp%'])('refuses %s: no single placeholder', (template) => {
    expect(parseMessage(template)).toEqual({ problem: 'must hold %OTP% exactly once' });
  });

  it.each(['a\u0000%OTP%', 'a\u001b%OTP%', 'a\ud800%OTP%'])('refuses control characters', (template) => {
    expect(parseMessage(template)).toHaveProperty('problem');
  });

  it('refuses a message of more than five credits', () => {
    expect(parseMessage(filled(765))).toMatchObject({ credits: 5 });
    expect(parseMessage(filled(766))).toHaveProperty('problem');
  });
});

describe('senderIdShape', () => {
  it('allows letters and digits, at most 11', () => {
    expect(['MyApp', 'A1', 'abcdefghijk'].every((id) => senderIdShape.test(id))).toBe(true);
    expect(['', 'My App', 'abcdefghijkl', 'é'].some((id) => senderIdShape.test(id))).toBe(false);
  });
});
