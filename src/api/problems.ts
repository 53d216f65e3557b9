import { refusalMessages } from '../producer/refusal.js';

/** One line of the table: what every answer with this code says unless the case at hand says more. */
export interface ProblemKind {
  status: number;
  title: string;
  detail: string;
  retryAfterSeconds?: number;
}

const table = {
  invalid_request: {
    status: 400,
    title: 'Invalid request',
    detail: refusalMessages.invalid_request,
  },
  unauthorized: {
    status: 401,
    title: 'Unauthorized',
    detail: 'Valid credentials are needed; see WWW-Authenticate.',
  },
  cross_site_request: {
    status: 403,
    title: 'Cross-site request',
    detail: 'Changes are accepted only from the admin pages themselves.',
  },
  action_not_offered: {
    status: 403,
    title: 'Action not offered',
    detail:
      'A job means nothing without the record of its OTP, so jobs can be retried, promoted and removed, and queues paused and resumed; nothing else. Send and cancel OTPs through the API.',
  },
  not_found: { status: 404, title: 'Not found', detail: 'There is nothing at this path.' },
  otp_not_found: { status: 404, title: 'OTP not found', detail: 'There is no such OTP, or not any more.' },
  batch_not_found: {
    status: 404,
    title: 'Batch not found',
    detail: 'There is no such batch, or not any more.',
  },
  not_acceptable: {
    status: 406,
    title: 'Not acceptable',
    detail: 'This path answers none of the media types in Accept.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    detail: 'This path does not answer this method; see Allow.',
  },
  already_verified: {
    status: 409,
    title: 'Already verified',
    detail: 'The OTP has been verified before; a code counts once.',
  },
  not_sent: {
    status: 409,
    title: 'Not sent',
    detail: 'The OTP is still on its way, or was dropped because it could not be sent in time.',
  },
  not_verifiable: {
    status: 409,
    title: 'Not verifiable',
    detail: 'The OTP could not be sent, or its ids are lost. Offer to send again.',
  },
  verification_in_progress: {
    status: 409,
    title: 'Verification in progress',
    detail: 'The last attempts are being decided right now. Look at the OTP in a moment.',
  },
  too_many_jobs: {
    status: 409,
    title: 'Too many jobs',
    detail:
      'More than 10,000 jobs are concerned, and Redis would stand still for all while it removes them. Pause the queue instead: what waits is dropped at its deadline, and jobs that ended go by themselves after KEEP_SECONDS.',
  },
  otp_expired: {
    status: 410,
    title: 'OTP expired',
    detail: 'The code cannot be verified any more. Request a new one.',
  },
  otp_cancelled: {
    status: 410,
    title: 'OTP cancelled',
    detail: 'The OTP was cancelled, so its code does not count.',
  },
  attempts_exhausted: {
    status: 410,
    title: 'Attempts exhausted',
    detail: 'All attempts are used up. Request a new one.',
  },
  idempotency_in_flight: {
    status: 409,
    title: 'Idempotency key in flight',
    detail: refusalMessages.idempotency_in_flight,
  },
  batch_cancelled: {
    status: 409,
    title: 'Batch cancelled',
    detail: refusalMessages.batch_cancelled,
  },
  request_timeout: {
    status: 408,
    title: 'Request Timeout',
    detail: 'The request did not arrive in time.',
  },
  headers_too_large: {
    status: 431,
    title: 'Request Header Fields Too Large',
    detail: 'All headers together may take 16 KiB, and there may be 100 of them.',
  },
  body_too_large: {
    status: 413,
    title: 'Body too large',
    detail: 'The body is larger than this path takes.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send a media type that this path documents, in UTF-8, without Content-Encoding.',
  },
  expectation_failed: {
    status: 417,
    title: 'Expectation Failed',
    detail: 'No expectation can be met but 100-continue.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency key reused',
    detail: refusalMessages.idempotency_key_reused,
  },
  invalid_phone_number: {
    status: 422,
    title: 'Invalid phone number',
    detail: refusalMessages.invalid_phone_number,
  },
  country_not_allowed: {
    status: 422,
    title: 'Country not allowed',
    detail: refusalMessages.country_not_allowed,
  },
  message_not_allowed: {
    status: 422,
    title: 'Message not allowed',
    detail: refusalMessages.message_not_allowed,
  },
  incorrect_code: {
    status: 422,
    title: 'Incorrect code',
    detail: 'The code is wrong; `attemptsRemaining` says how many attempts are left.',
  },
  phone_rate_limited: {
    status: 429,
    title: 'Phone rate limited',
    detail: refusalMessages.phone_rate_limited,
  },
  app_rate_limited: {
    status: 429,
    title: 'App rate limited',
    detail: refusalMessages.app_rate_limited,
  },
  client_ip_rate_limited: {
    status: 429,
    title: 'Client IP rate limited',
    detail: refusalMessages.client_ip_rate_limited,
  },
  prefix_blocked: {
    status: 429,
    title: 'Prefix blocked',
    detail: refusalMessages.prefix_blocked,
  },
  phone_locked: {
    status: 429,
    title: 'Phone locked',
    detail: refusalMessages.phone_locked,
  },
  too_many_logins: {
    status: 429,
    title: 'Too many logins',
    detail:
      'Too many failed logins came from your address; see Retry-After. Until then a right one is refused, too.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    detail: 'Something went wrong on our side. The log holds more under the X-Request-Id.',
  },
  sending_paused: {
    status: 503,
    title: 'Sending paused',
    detail: refusalMessages.sending_paused,
    retryAfterSeconds: 10,
  },
  overloaded: {
    status: 503,
    title: 'Overloaded',
    detail: refusalMessages.overloaded,
    retryAfterSeconds: 10,
  },
  queue_unavailable: {
    status: 503,
    title: 'Queue unavailable',
    detail: refusalMessages.queue_unavailable,
    retryAfterSeconds: 1,
  },
  provider_unavailable: {
    status: 503,
    title: 'Provider unavailable',
    detail: 'iSMS gave no usable answer, so nothing is verified. Ask again with the same code.',
    retryAfterSeconds: 5,
  },
  balance_unavailable: {
    status: 503,
    title: 'Balance unavailable',
    detail: 'The balance has not been read yet, or iSMS does not tell it at the moment.',
    retryAfterSeconds: 10,
  },
  not_ready: {
    status: 503,
    title: 'Not ready',
    detail: 'Redis did not take a write within 500 ms.',
    retryAfterSeconds: 1,
  },
} as const satisfies Record<string, ProblemKind>;

/** The stable `code` of a problem. */
export type ProblemCode = keyof typeof table;

/** The one table from code to answer; the documentation is made from it too. */
export const problems: Readonly<Record<ProblemCode, ProblemKind>> = table;

/** Every code, in the order of the table. */
export const problemCodes = Object.keys(table) as ProblemCode[];
