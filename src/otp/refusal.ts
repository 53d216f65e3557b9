import { errorText, type InputError } from '../lib/input-errors.js';
import { troubleTexts } from './outcome.js';

/** Why an OTP was not accepted, by its stable code, with the default message. */
export const refusalMessages = {
  invalid_request: 'The request is invalid: see `errors`.',
  idempotency_in_flight: 'Another request with this idempotency key is being processed. Retry in a moment.',
  idempotency_key_reused: 'This idempotency key was used with another request body.',
  invalid_phone_number:
    'Not a valid mobile number. SMS cannot be sent to landlines. Use the international format, +60123456789, or the national one.',
  country_not_allowed:
    'The country of this number is not allowed. The operator allows countries with ALLOWED_COUNTRIES.',
  recipient_denied: "The number is on the operator's deny list.",
  message_not_allowed:
    "The message breaks the content rules of the number's country or those of the operator; `errors` lists them.",
  recipient_rate_limited: 'Too many OTPs to this number.',
  app_rate_limited: 'Too many OTPs of this app per second.',
  app_budget_exceeded: "The app's budget of credits is spent.",
  client_ip_rate_limited: 'Too many OTPs from this client address.',
  limit_key_rate_limited: 'Too many OTPs for one of the limit keys.',
  range_blocked:
    'The toll-fraud guard blocks this number range: too few of its codes were verified, or too many are still unverified.',
  recipient_locked:
    'The number is locked after too many wrong or unanswered codes in a row. The operator can unlock it.',
  too_many_rejected:
    'Too many earlier lines of this upload were rejected, so new lines are not processed. Correct them and repeat the upload with the same key.',
  batch_cancelled: 'The batch was cancelled and accepts no further lines.',
  sending_paused: 'Sending is paused, so no OTP is accepted.',
  app_paused: 'The operator has paused sending of this app.',
  overloaded: 'The queue is too long to send this OTP in time, or Redis is nearly full.',
  internal_error: 'Internal error while accepting this OTP. The gateway logged the details.',
  queue_unavailable:
    'Redis did not answer. The OTP may have been accepted; retry with the same idempotency key.',
} as const;

/** The default message of a refusal for each of these reasons. */
const reasonMessages: Partial<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(troubleTexts).map(([trouble, { cause }]) => [trouble, `Sending is paused: ${cause}.`]),
  ),
  operator: 'The operator has paused sending.',
  slowed:
    'Too few codes sent to the range of this number were verified, so the range is limited to one OTP in 20 s. The operator can unblock it.',
  blocked:
    'Too few codes sent to the range of this number were verified, which looks like SMS pumping, so the range is blocked. The operator can unblock it.',
  capped:
    'Too many codes sent to the range of this number are not verified yet. Retry once some are verified, or after `Retry-After` at the latest.',
  day_budget: "The app's credits of today are spent.",
  month_budget: "The app's credits of this month are spent.",
  backlog: 'The queue is too long to send this OTP before its deadline.',
  memory: 'Redis is nearly full, so no OTP is accepted.',
} satisfies Record<'operator' | RangeDecision | 'day_budget' | 'month_budget' | 'backlog' | 'memory', string>;

/** The stable `code` of a refusal. */
export type RefusalCode = keyof typeof refusalMessages;

/** Why an OTP was not accepted. */
export interface Refusal {
  code: RefusalCode;
  /** In English, for developers. */
  message: string;
  errors?: InputError[];
  /** Milliseconds until a retry can succeed, where known. */
  retryAfterMs?: number;
  /** The remaining quotas, where one of the app's own limits refused. */
  quotas?: Quota[];
  /** A stable word for logs; selects the default message. */
  reason?: string;
}

/** Remaining quota of one limit: `remaining` of `quota` in `windowMs`, and the full quota in `resetMs`. */
export interface Quota {
  name: string;
  quota: number;
  windowMs: number;
  remaining: number;
  resetMs: number;
}

/** What a limit on OTPs counts by. */
export const limitedBy = ['recipient', 'app', 'client_ip', 'limit_key'] as const;

/** Why the toll-fraud guard rejects an OTP: too few codes of its range are verified, or too many are still unverified. */
export type RangeDecision = 'slowed' | 'blocked' | 'capped';

/** A refusal with the given message, a sentence of its errors, or the default message of its reason or code. */
export function refuse(code: RefusalCode, more: Partial<Omit<Refusal, 'code'>> = {}): Refusal {
  const ofReason = reasonMessages[more.reason ?? ''] ?? refusalMessages[code];
  return { code, message: more.errors ? errorText(more.errors) : ofReason, ...more };
}

/** The refusal by a limit on OTPs to a number, of an app, for a client address or a limit key of a kind. */
export function refuseByLimit(
  by: (typeof limitedBy)[number],
  { retryAfterMs, quotas, kind }: { retryAfterMs: number; quotas: Quota[]; kind?: string | undefined },
): Refusal {
  const message =
    by === 'recipient'
      ? { message: recipientMessage(retryAfterMs, quotas) }
      : kind !== undefined && {
          message: `Too many OTPs for the same \`${kind}\` of \`limitKeys\`. Try again in ${seconds(retryAfterMs)} s.`,
        };
  return refuse(`${by}_rate_limited`, { ...message, retryAfterMs, quotas });
}

const seconds = (ms: number) => Math.max(1, Math.ceil(ms / 1_000));

/** When the next OTP to the number can be accepted and, if its cooldown is what refused, when the last one was. */
function recipientMessage(retryAfterMs: number, quotas: readonly Quota[]): string {
  const cooldown = quotas.find(({ name }) => name === 'recipient-cooldown');
  if (!cooldown || cooldown.resetMs < retryAfterMs) {
    return `${refusalMessages.recipient_rate_limited} Try again in ${seconds(retryAfterMs)} s.`;
  }
  const since = Math.round(cooldown.windowMs / 1_000) - seconds(retryAfterMs);
  const ago = since > 0 ? `${since} s ago` : 'just now';
  return `The last code to this number was requested ${ago}; try again in ${seconds(retryAfterMs)} s.`;
}
