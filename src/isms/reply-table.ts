import type { FailureCode } from '../otp/failure.js';
import type { AccountTrouble } from '../otp/outcome.js';

/**
 * What a refusal of the provider means: trouble of the whole account, or the end of this one OTP. The failure `rejected`
 * is a refusal that names neither the number nor the message, so it may be either.
 */
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
  ['-1010', { failure: 'rejected' }], // too many numbers
  ['-1012', { failure: 'message_refused' }], // Unicode text needs type 2
  ['-1013', { failure: 'rejected' }], // terms not accepted
  ['-1014', { failure: 'rejected' }], // invalid JSON
  ['-1015', { failure: 'rejected' }], // the JSON endpoint needs POST
]);

/**
 * Phrases looked for in a message, in lower case with single spaces. "Authentication Failed" stands on the 2FA page
 * (https://www.isms.com.my/2FA/request.php, Send OTP). The others are both columns of the vendor's error table
 * (https://www.isms.com.my/response_result.php), a slip of its own included, and close variants.
 */
const byPhrase: readonly (readonly [RegExp, Refusal])[] = [
  [/authentication failed/, { trouble: 'authentication_failed' }],
  [/(?:incorrect|invalid|wrong) user ?name or password/, { trouble: 'authentication_failed' }],
  [/user ?name or password (?:are|is) (?:incorrect|invalid|wrong)/, { trouble: 'authentication_failed' }],
  [/account (?:is |has |has been )?(?:suspended|expired)/, { trouble: 'account_suspended' }],
  [/ip (?:address )?(?:is )?not allowed/, { trouble: 'ip_not_allowed' }],
  [/insufficient credit|not enough credit|run ou[tr] of credit/, { trouble: 'insufficient_credits' }],
  [/invalid (?:destination|mobile) number|^invalid number\W*$/, { failure: 'invalid_number' }],
  [/invalid (?:sms type|message type|hex body|body length)/, { failure: 'message_refused' }],
  [/sms type is not supported|sms body has exceed|hex body format/, { failure: 'message_refused' }],
  [/use type ?= ?2/, { failure: 'message_refused' }],
];

const maxTextLength = 500;
/** A sentence of the vendor's table takes 80; what is longer is a page. */
const maxSentenceLength = 160;
/** A code at the start, which is not the beginning of a longer number. */
const leadingCode = /^-\d{4}(?!\.?\d)/;

/** The refusal whose error code the text starts with, or null. For text that may be anything, such as HTML. */
export function refusalByCode(text: string): Refusal | null {
  const code = leadingCode.exec(text.trimStart().slice(0, 8))?.[0];
  return (code && byCode.get(code)) || null;
}

/** The refusal that a message text means, by code or phrase, whatever its case and spacing, or null. */
export function refusalByText(text: string): Refusal | null {
  const plain = text.slice(0, maxTextLength).toLowerCase().split(/\s+/).join(' ').trim();
  const found = byPhrase.find(([phrase]) => phrase.test(plain));
  return refusalByCode(text) ?? found?.[1] ?? null;
}

/**
 * Whether the words of a refused verification say that the code is wrong, or too old. "Incorrect OTP Code" stands on the
 * 2FA page; the others are inferred.
 */
export function saysWrongCode(text: string): boolean {
  const plain = text.slice(0, maxTextLength).toLowerCase();
  return (
    /\b(?:incorrect|invalid|wrong|mismatch(?:ed)?|expired|not match)\b/.test(plain) &&
    /\b(?:otp|code|pin|passcode)\b/.test(plain)
  );
}

/** The refusal of a body that is one plain sentence about the account, or null: pages may hold any phrase. */
export function refusalBySentence(text: string): Refusal | null {
  if (text.length > maxSentenceLength || /[<>{}]/.test(text)) return null;
  const refusal = refusalByText(text);
  return refusal && 'trouble' in refusal ? refusal : null;
}
