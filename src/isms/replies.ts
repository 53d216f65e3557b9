import { z } from 'zod';
import type { FailureCode } from '../otp/otp.js';
import type { AccountTrouble, UnknownReason } from '../otp/outcome.js';

const maxTextLength = 500;
const maxQuoteLength = 120;
const hidden = '…';

/** Letters of any script with the marks of a sentence; a negative error code in front. No digits, no symbols. */
const word = /^(?!.*\.\p{L})[\p{L}\p{M}.,;:!?()"'“”‘’/，。！？、；：（）-]+$/u;
const errorCode = /^-\d{4}(?!\d)/;

/**
 * The part of an iSMS text that may be shown and logged: at most 120 characters of plain words. The rest may be
 * a number, a code or a template, and is left out.
 */
export function quotedText(text: string): string {
  const tokens = text.slice(0, maxTextLength).trim().split(/\s+/).filter(Boolean);
  const shown = tokens.map((token, i) => {
    if (word.test(token)) return token;
    return (i === 0 && errorCode.exec(token)?.[0]) || hidden;
  });
  const quoted = shown.filter((token, i) => token !== hidden || shown[i - 1] !== hidden).join(' ');
  // A letter cut in half would make JSON that Redis cannot read.
  const cut = () => `${quoted.slice(0, maxQuoteLength - 1)}${hidden}`.toWellFormed();
  return quoted.length > maxQuoteLength ? cut() : quoted;
}

/** The same text without these words, in any case: a refusal may name the account it refuses. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const wordsOf = secrets.flatMap((secret) => secret.split(/\s+/)).filter((secret) => secret.length > 2);
  return wordsOf.reduce(
    (shown, secret) => shown.replaceAll(new RegExp(escapeRegExp(secret), 'gi'), hidden),
    text,
  );
}

/** The text as a pattern that matches itself. */
export function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/**
 * A body after parsing. `good`: what the schema asked for and nothing else. `failed`: the provider says so; `message`
 * may hold anything.
 * `code`: a bare error code, or a bare sentence about the account. `unreadable`: nothing that the provider documents.
 */
type Reply<T> =
  | { kind: 'good'; value: T }
  | { kind: 'failed' | 'code'; refusal: Refusal; message: string }
  | { kind: 'unreadable'; reason: UnknownReason };

const failed = z.object({
  message: z.coerce.string().optional().catch(undefined),
  code: z.coerce.string().optional().catch(undefined),
});

/**
 * Parses a body against the schema of its call. The good schema has to name what it needs, so that the code
 * in the reply ends here; a failed reply carries ids and a code too, of which only a negative code is read: an OTP's
 * code has no sign.
 */
export function parseReply<T>(text: string, good: z.ZodType<T>): Reply<T> {
  if (text.trim() === '') return { kind: 'unreadable', reason: 'reply_empty' };
  const json = parseJson(text);
  const bare = parseBare(text, json);
  if (bare) return bare;
  // For a good reply, the schema would take longer to fail than to succeed.
  if (saysFailed(json)) {
    const { code = '', message = '' } = failed.parse(json);
    const refusal: Refusal = refusalByCode(code) ?? refusalByText(message) ?? { failure: 'rejected' };
    return { kind: 'failed', refusal, message };
  }
  const parsed = good.safeParse(json);
  if (parsed.success) return { kind: 'good', value: parsed.data };
  return { kind: 'unreadable', reason: 'reply_wrong_shape' };
}

function saysFailed(json: unknown): boolean {
  const status = typeof json === 'object' && json !== null && 'status' in json ? json.status : null;
  return typeof status === 'string' && status.trim().toLowerCase() === 'failed';
}

/** Undefined when it is no JSON; the parser's error would quote the text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Parses a body that is a text rather than an object, as it stands or as a JSON string or number; null for others. */
function parseBare(text: string, json: unknown): Reply<never> | null {
  if (json !== undefined && typeof json !== 'string' && typeof json !== 'number') return null;
  const message = json === undefined ? text : String(json);
  const refusal = refusalByCode(message) ?? refusalBySentence(message);
  if (refusal) return { kind: 'code', refusal, message };
  return { kind: 'unreadable', reason: json === undefined ? 'reply_not_json' : 'reply_wrong_shape' };
}

/**
 * What a refusal of the provider means: trouble of the whole account, or the end of this one OTP. The failure `rejected`
 * is a refusal that names neither the number nor the message, so it may be either.
 */
type Refusal = { trouble: AccountTrouble } | { failure: FailureCode };

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

/** A sentence of the vendor's table takes 80; what is longer is a page. */
const maxSentenceLength = 160;
/** A code at the start, which is not the beginning of a longer number. */
const leadingCode = /^-\d{4}(?!\.?\d)/;

/** The refusal whose error code the text starts with, or null. For text that may be anything, such as HTML. */
export function refusalByCode(text: string): Refusal | null {
  const code = leadingCode.exec(text.trimStart().slice(0, 8))?.[0];
  return (code && byCode.get(code)) || null;
}

/** The refusal that a message text means, by code or phrase, in any case and spacing, or null. */
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
function refusalBySentence(text: string): Refusal | null {
  if (text.length > maxSentenceLength || /[<>{}]/.test(text)) return null;
  const refusal = refusalByText(text);
  return refusal && 'trouble' in refusal ? refusal : null;
}
