import type { AccountTrouble } from '../otp/outcome.js';
import type { Admission, LimitKind, Quota } from '../store/admission.js';
import type { RangeRefusal } from '../store/number-ranges.js';
import type { Overload } from './backpressure.js';
import type { InputError } from './input-errors.js';

/** Why an OTP was not accepted, by its stable code, and what is said about it where nothing closer is known. */
export const refusalMessages = {
  invalid_request: 'The request is not shaped as documented; `errors` lists what is wrong with it.',
  idempotency_in_flight: 'A request with this idempotency key is just being admitted. Ask again in a moment.',
  idempotency_key_reused: 'This idempotency key stands for a request with another body.',
  invalid_phone_number:
    'It is not a mobile number of any country that we know. Send it as +60123456789, or as people write it.',
  country_not_allowed:
    'No SMS is sent to the country of this number. The operator lists countries in ALLOWED_COUNTRIES.',
  message_not_allowed: "The message breaks the content rules of the number's country; `errors` says which.",
  phone_rate_limited: 'Too many OTPs to this number. Let the person use the code that came.',
  app_rate_limited: 'Too many OTPs of this app at a time.',
  client_ip_rate_limited: 'Too many OTPs for this client address.',
  range_blocked:
    'The toll-fraud guard accepts no OTP to the range of this number now: too few of its codes were verified, or too many are not verified yet.',
  phone_locked:
    'Too many wrong or unanswered codes in a row for this number. The operator of the gateway can unlock it.',
  too_many_refused:
    'So many lines of this upload were refused before that no new one is looked at. Under its key it can be sent again.',
  batch_cancelled: 'The batch was cancelled, so nothing is added to it.',
  sending_paused: 'Nothing is sent at the moment, so nothing is accepted.',
  overloaded: 'More waits than can be sent in time, or Redis is nearly full.',
  internal_error: 'Something went wrong on our side with this OTP. The log holds more.',
  queue_unavailable:
    'Redis did not answer. It may have been accepted all the same: ask again with the same key.',
} as const;

/** The stable `code` of a refusal. */
export type RefusalCode = keyof typeof refusalMessages;

/** Why an OTP was not accepted. */
export interface Refusal {
  code: RefusalCode;
  /** In English, for people. */
  message: string;
  errors?: InputError[];
  /** Milliseconds until it would be taken, where that is known. */
  retryAfterMs?: number;
  /** What is left of the limits, where one of the app's own refused. */
  quotas?: Quota[];
  /** A stable word for the log alone. */
  reason?: string;
}

/** A refusal with its usual message unless the case at hand says more. */
export function refuse(code: RefusalCode, more: Partial<Omit<Refusal, 'code'>> = {}): Refusal {
  return { code, message: refusalMessages[code], ...more };
}

const pauseMessages = {
  operator: 'The operator has paused sending.',
  authentication_failed: 'iSMS refuses the login of the gateway, so sending is paused until it is mended.',
  account_suspended: 'iSMS has suspended the account, so sending is paused until it is lifted.',
  ip_not_allowed: "The gateway's address is not on iSMS's list, so sending is paused until it is.",
  insufficient_credits: 'The iSMS account is out of credits, so sending is paused until it is topped up.',
  unrecognised_refusal:
    'iSMS refuses the OTPs of this app one after the other for a reason that the gateway does not know, so its sending is paused until one is accepted.',
} satisfies Record<AccountTrouble | 'operator', string>;

const rangeMessages = {
  slowed:
    'Too few codes sent to the range of this number were verified, so it gets one OTP in 20 s. The operator can lift that.',
  blocked:
    'Too few codes sent to the range of this number were verified, which looks like SMS pumping, so it is blocked. The operator can lift that.',
  capped:
    'Too many codes sent to the range of this number are not verified yet. It gets more once some are, and after `Retry-After` at the latest.',
} satisfies Record<RangeRefusal, string>;

const limitCodes = {
  phone: 'phone_rate_limited',
  app: 'app_rate_limited',
  client_ip: 'client_ip_rate_limited',
} as const satisfies Record<LimitKind, RefusalCode>;

const overloadMessages = {
  backlog: 'What waits already could not be sent before the deadline of this OTP, so it is not accepted.',
  memory: 'Redis is nearly full, so nothing new is accepted.',
} satisfies Record<Overload['reason'], string>;

/** What an admission that took no OTP means for who asked. */
export function refusalOf(
  admission: Exclude<Admission, { kind: 'admitted' | 'replayed' }>,
  overload: Overload | null,
): Refusal {
  switch (admission.kind) {
    case 'key_reused':
      return refuse('idempotency_key_reused');
    case 'key_in_flight':
      return refuse('idempotency_in_flight');
    case 'phone_locked':
      return refuse('phone_locked');
    case 'overloaded':
      return overloaded(overload);
    case 'paused':
      return refuse('sending_paused', {
        message: pauseMessages[admission.reason],
        reason: admission.reason,
      });
    case 'range_blocked':
      return refuse('range_blocked', {
        message: rangeMessages[admission.reason],
        reason: admission.reason,
        retryAfterMs: admission.retryAfterMs,
      });
    case 'limited': {
      const { by, retryAfterMs, quotas } = admission;
      return refuse(limitCodes[by], { retryAfterMs, quotas });
    }
  }
}

function overloaded(overload: Overload | null): Refusal {
  if (!overload) return refuse('overloaded');
  const { reason, retryAfterMs } = overload;
  return refuse('overloaded', { message: overloadMessages[reason], reason, retryAfterMs });
}
