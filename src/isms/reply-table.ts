import type { FailureCode } from '../otp/failure.js';
import type { AccountTrouble } from '../otp/outcome.js';

/** What a refusal of the provider means: trouble of the whole account, or the end of this one OTP. */
export type Refusal = { trouble: AccountTrouble } | { failure: FailureCode };

/**
 * Error codes of the vendor's SMS API (https://www.isms.com.my, "SMS API"). The 2FA page names none, so they
 * are recognised wherever they turn up: as a message, as a balance, as a bare body.
 */
const byCode: ReadonlyMap<string, Refusal> = new Map<string, Refusal>([
  ['-1000', { failure: 'rejected' }], // unknown error
  ['-1001', { trouble: 'authentication_failed' }],
  ['-1002', { trouble: 'account_suspended' }], // suspended or expired
  ['-1003', { trouble: 'ip_not_allowed' }],
  ['-1004', { trouble: 'insufficient_credits' }],
  ['-1005', { failure: 'message_refused' }], // invalid SMS type
  ['-1006', { failure: 'message_refused' }], // body length
  ['-1007', { failure: 'message_refused' }], // hexadecimal body
  ['-1008', { failure: 'rejected' }], // missing parameter
  ['-1009', { failure: 'invalid_number' }],
  ['-1012', { failure: 'message_refused' }], // Unicode text needs type 2
  ['-1013', { failure: 'rejected' }], // terms not accepted
]);

/**
 * Phrases looked for in a message, in lower case with single spaces. Only "Authentication Failed" stands on
 * the 2FA page (https://www.isms.com.my/2FA/request.php, Send OTP); the others follow the codes above.
 */
const byPhrase: readonly (readonly [string, Refusal])[] = [
  ['authentication failed', { trouble: 'authentication_failed' }],
  ['account suspended', { trouble: 'account_suspended' }],
  ['account is suspended', { trouble: 'account_suspended' }],
  ['account has been suspended', { trouble: 'account_suspended' }],
  ['account expired', { trouble: 'account_suspended' }],
  ['account is expired', { trouble: 'account_suspended' }],
  ['account has expired', { trouble: 'account_suspended' }],
  ['ip not allowed', { trouble: 'ip_not_allowed' }],
  ['ip address not allowed', { trouble: 'ip_not_allowed' }],
  ['insufficient credit', { trouble: 'insufficient_credits' }],
  ['invalid destination number', { failure: 'invalid_number' }],
  ['invalid mobile number', { failure: 'invalid_number' }],
  ['invalid sms type', { failure: 'message_refused' }],
];

const maxTextLength = 500;
/** A code at the start, which is not the beginning of a longer number. */
const leadingCode = /^-\d{4}(?!\.?\d)/;

/** The refusal whose error code the text starts with, or null. For text that may be anything, such as HTML. */
export function refusalByCode(text: string): Refusal | null {
  const code = leadingCode.exec(text.trimStart().slice(0, 8))?.[0];
  return (code && byCode.get(code)) || null;
}

/** The refusal that a message text means, by code or phrase, whatever its case and spacing, or null. */
export function refusalByText(text: string): Refusal | null {
  const plain = text.slice(0, maxTextLength).toLowerCase().split(/\s+/).join(' ');
  const found = byPhrase.find(([phrase]) => plain.includes(phrase));
  return refusalByCode(text) ?? found?.[1] ?? null;
}
