import { expect, test } from 'vitest';
import { refusalByCode, refusalByText } from '../../src/isms/replies.js';

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
])('the text %j is known in any case and spacing', (text, refusal) => {
  expect(refusalByText(text)).toEqual(refusal);
});

/** The vendor's error table: its short column, and the sentences beside it, as its pages have them. */
test.each([
  ['AUTHENTICATION FAILED', { trouble: 'authentication_failed' }],
  ['Your username or password are incorrect.', { trouble: 'authentication_failed' }],
  ['Incorrect username or password', { trouble: 'authentication_failed' }],
  ['ACCOUNT SUSPENDED / EXPIRED', { trouble: 'account_suspended' }],
  [
    'Your account has been expired or suspended. Please contact the administrator.',
    { trouble: 'account_suspended' },
  ],
  ['IP NOT ALLOWED', { trouble: 'ip_not_allowed' }],
  ['Your IP is not allowed to send SMS. Please contact the administrator.', { trouble: 'ip_not_allowed' }],
  ['INSUFFICIENT CREDITS', { trouble: 'insufficient_credits' }],
  ['You have run out of credits. Please reload your credits.', { trouble: 'insufficient_credits' }],
  ['You have run our of credits. Please reload your credits.', { trouble: 'insufficient_credits' }],
  ['INVALID SMS TYPE', { failure: 'message_refused' }],
  ['Your SMS type is not supported.', { failure: 'message_refused' }],
  ['INVALID BODY LENGTH (1-700)', { failure: 'message_refused' }],
  ['Your SMS body has exceed the length. Max limit = 700', { failure: 'message_refused' }],
  ['INVALID HEX BODY', { failure: 'message_refused' }],
  ['Your Hex body format is wrong.', { failure: 'message_refused' }],
  ['INVALID DESTINATION NUMBER', { failure: 'invalid_number' }],
  ['Invalid number', { failure: 'invalid_number' }],
  ['INVALID MESSAGE TYPE', { failure: 'message_refused' }],
  ['Message contain unicode and please use type=2 for Unicode', { failure: 'message_refused' }],
])('the vendor’s wording %j is known', (text, refusal) => {
  expect(refusalByText(text)).toEqual(refusal);
});

test.each(['-1000', '-1008', '-1010', '-1013', '-1014', '-1015'])(
  'the code %s is known, and says nothing about the number or the message',
  (code) => {
    expect(refusalByCode(`${code} whatever`)).toEqual({ failure: 'rejected' });
  },
);

test.each([
  '',
  'Incorrect OTP Code',
  'Invalid number of parameters',
  'Unknown error. Please contact the administrator.',
  'One or more required parameters are missing.',
  'OTP expired',
  'Account',
  `${'x'.repeat(60_000)} authentication failed`,
])('no text of an OTP is taken for account trouble', (text) => {
  expect(refusalByText(text)).toBeNull();
});
