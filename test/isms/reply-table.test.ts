import { expect, test } from 'vitest';
import { refusalByCode, refusalByText } from '../../src/isms/reply-table.js';

test.each([
  ['-1001', { trouble: 'authentication_failed' }],
  ['-1002 account', { trouble: 'account_suspended' }],
  ['-1003:', { trouble: 'ip_not_allowed' }],
  ['\n-1004', { trouble: 'insufficient_credits' }],
  ['-1009.', { failure: 'invalid_number' }],
])('the code in %j is known', (text, refusal) => {
  expect(refusalByCode(text)).toEqual(refusal);
});

test.each(['', '-', '-100', '-10011', '-1001.5', '1001', '-2000', 'error -1001', '<p>-1001'])(
  '%j starts with no code',
  (text) => {
    expect(refusalByCode(text)).toBeNull();
  },
);

test.each([
  ['AUTHENTICATION   failed!', { trouble: 'authentication_failed' }],
  ['Your account has expired', { trouble: 'account_suspended' }],
  ['IP\tnot allowed', { trouble: 'ip_not_allowed' }],
  ['Insufficient Credits', { trouble: 'insufficient_credits' }],
  ['-1009 insufficient credits', { failure: 'invalid_number' }],
])('the text %j is known, whatever its case and spacing', (text, refusal) => {
  expect(refusalByText(text)).toEqual(refusal);
});

test.each([
  '',
  'Incorrect OTP Code',
  'OTP expired',
  'Account',
  `${'x'.repeat(60_000)} authentication failed`,
])('no text of an OTP is taken for account trouble', (text) => {
  expect(refusalByText(text)).toBeNull();
});
