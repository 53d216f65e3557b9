import { refusalMessages } from '../../producer/refusal.js';

/** One line of the table: what every answer with this code says unless the case at hand says more. */
export interface ProblemKind {
  status: number;
  title: string;
  detail: string;
  /** What an app, or whoever it belongs to, does about it. */
  advice: string;
  retryAfterSeconds?: number;
}

const table = {
  invalid_request: {
    advice: 'Mend what `errors` names; trying again as it is helps nothing.',
    status: 400,
    title: 'Invalid request',
    detail: refusalMessages.invalid_request,
  },
  unauthorized: {
    advice: 'Check the key and where it comes from; a key that was taken out answers the same.',
    status: 401,
    title: 'Unauthorized',
    detail: 'Valid credentials are needed; see WWW-Authenticate.',
  },
  cross_site_request: {
    advice: 'Use the admin pages themselves, or HTTP Basic from a script.',
    status: 403,
    title: 'Cross-site request',
    detail: 'Changes are accepted only from the admin pages themselves.',
  },
  action_not_offered: {
    advice: 'Retry, promote or remove jobs, or pause the queue; `ADMIN_ACTIONS=on` must be set.',
    status: 403,
    title: 'Action not offered',
    detail:
      'A job means nothing without the record of its OTP, so jobs can be retried, promoted and removed, and queues paused and resumed; nothing else. Send and cancel OTPs through the API.',
  },
  not_found: {
    advice: 'Check the path; `/docs` lists all.',
    status: 404,
    title: 'Not found',
    detail: 'There is nothing at this path.',
  },
  otp_not_found: {
    advice:
      'Check the id and whose key asks: an OTP of another app looks the same. Finished ones go after `OTP_RETENTION_SECONDS`.',
    status: 404,
    title: 'OTP not found',
    detail: 'There is no such OTP, or not any more.',
  },
  batch_not_found: {
    advice: 'The same as for `otp_not_found`.',
    status: 404,
    title: 'Batch not found',
    detail: 'There is no such batch, or not any more.',
  },
  not_acceptable: {
    advice: 'Send another `Accept`, or none.',
    status: 406,
    title: 'Not acceptable',
    detail: 'This path answers none of the media types in Accept.',
  },
  method_not_allowed: {
    advice: 'Use a method that `Allow` names.',
    status: 405,
    title: 'Method not allowed',
    detail: 'This path does not answer this method; see Allow.',
  },
  already_verified: {
    advice: 'Let the person in only if it was this login that verified it; otherwise ask for a new code.',
    status: 409,
    title: 'Already verified',
    detail: 'The OTP has been verified before; a code counts once.',
  },
  not_sent: {
    advice: 'Let the person wait a moment and try the same code again; offer a new one after `sendDeadline`.',
    status: 409,
    title: 'Not sent',
    detail: 'The OTP is still on its way, or was dropped because it could not be sent in time.',
  },
  not_verifiable: {
    advice: 'Offer to send again.',
    status: 409,
    title: 'Not verifiable',
    detail: 'The OTP could not be sent, or its ids are lost. Offer to send again.',
  },
  verification_in_progress: {
    advice:
      'Wait a second and look at the OTP: `locked`, or `verified` by another call, which is no reason to let this one in.',
    status: 409,
    title: 'Verification in progress',
    detail: 'The last attempts are being decided right now. Look at the OTP in a moment.',
  },
  too_many_jobs: {
    advice: 'Pause the queue instead.',
    status: 409,
    title: 'Too many jobs',
    detail:
      'More than 10,000 jobs are concerned, and Redis would stand still for all while it removes them. Pause the queue instead: what waits is dropped at its deadline, and jobs that ended go by themselves after OTP_RETENTION_SECONDS.',
  },
  otp_expired: {
    advice: 'Offer to send again.',
    status: 410,
    title: 'OTP expired',
    detail: 'The code cannot be verified any more. Request a new one.',
  },
  otp_cancelled: {
    advice: 'Use the code of the newer OTP, or offer to send again.',
    status: 410,
    title: 'OTP cancelled',
    detail: 'The OTP was cancelled, so its code does not count.',
  },
  attempts_exhausted: {
    advice: 'Offer to send again.',
    status: 410,
    title: 'Attempts exhausted',
    detail: 'All attempts are used up. Request a new one.',
  },
  idempotency_in_flight: {
    advice: 'Send the same request again after a second.',
    status: 409,
    title: 'Idempotency key in flight',
    detail: refusalMessages.idempotency_in_flight,
  },
  batch_cancelled: {
    advice: 'Begin another batch under another key.',
    status: 409,
    title: 'Batch cancelled',
    detail: refusalMessages.batch_cancelled,
  },
  request_timeout: {
    advice: 'Send the request again, faster; is the network ill?',
    status: 408,
    title: 'Request Timeout',
    detail: 'The request did not arrive in time.',
  },
  headers_too_large: {
    advice: 'Send fewer or shorter headers.',
    status: 431,
    title: 'Request Header Fields Too Large',
    detail: 'All headers together may take 16 KiB, and there may be 100 of them.',
  },
  body_too_large: {
    advice: 'Send less at a time; many OTPs go to `/v1/otps/bulk`.',
    status: 413,
    title: 'Body too large',
    detail: 'The body is larger than this path takes.',
  },
  unsupported_media_type: {
    advice: 'Send `Content-Type: application/json` (or what the path documents), uncompressed.',
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send a media type that this path documents, in UTF-8, without Content-Encoding.',
  },
  expectation_failed: {
    advice: 'Send no `Expect`, or `100-continue`.',
    status: 417,
    title: 'Expectation Failed',
    detail: 'No expectation can be met but 100-continue.',
  },
  idempotency_key_reused: {
    advice: 'Make a new key for each new request; send the very same body with a key that is used again.',
    status: 422,
    title: 'Idempotency key reused',
    detail: refusalMessages.idempotency_key_reused,
  },
  invalid_phone_number: {
    advice: 'Ask the person for their number again.',
    status: 422,
    title: 'Invalid phone number',
    detail: refusalMessages.invalid_phone_number,
  },
  country_not_allowed: {
    advice: 'Tell the person that the country is not served, or have the operator allow it.',
    status: 422,
    title: 'Country not allowed',
    detail: refusalMessages.country_not_allowed,
  },
  message_not_allowed: {
    advice: 'Change the message as `errors` says, or name a template.',
    status: 422,
    title: 'Message not allowed',
    detail: refusalMessages.message_not_allowed,
  },
  incorrect_code: {
    advice: 'Let the person try again while `attemptsRemaining` is above 0.',
    status: 422,
    title: 'Incorrect code',
    detail: 'The code is wrong; `attemptsRemaining` says how many attempts are left.',
  },
  phone_rate_limited: {
    advice: 'Tell the person to use the code that came, and when (`Retry-After`) they can ask again.',
    status: 429,
    title: 'Phone rate limited',
    detail: refusalMessages.phone_rate_limited,
  },
  app_rate_limited: {
    advice: 'Wait for `Retry-After`, then send the same request again; use the bulk upload for many.',
    status: 429,
    title: 'App rate limited',
    detail: refusalMessages.app_rate_limited,
  },
  client_ip_rate_limited: {
    advice: "Show a challenge (CAPTCHA), or wait for `Retry-After`; is `clientIp` the person's own address?",
    status: 429,
    title: 'Client IP rate limited',
    detail: refusalMessages.client_ip_rate_limited,
  },
  too_many_uploads: {
    advice: 'Send the same upload again after `Retry-After`, with the same key; send fewer at a time.',
    status: 429,
    title: 'Too many uploads',
    detail: 'As many uploads of this app are under way as it may have at a time.',
  },
  too_many_exports: {
    advice: 'Send the same request again after `Retry-After`; have fewer exports at a time, or read pages.',
    status: 429,
    title: 'Too many exports',
    detail: 'As many NDJSON and CSV exports of this app are under way as it may have at a time.',
  },
  too_many_refused: {
    advice: 'Look at why the lines before were refused, then send the upload again under the same key.',
    status: 429,
    title: 'Too many refused',
    detail: refusalMessages.too_many_refused,
  },
  range_blocked: {
    advice:
      'Send the same request again after `Retry-After`, not before. If the numbers are real, the operator lifts it: `isms-otp forget-range`.',
    status: 429,
    title: 'Prefix blocked',
    detail: refusalMessages.range_blocked,
  },
  phone_locked: {
    advice: 'Send the person to your support; the operator lifts it: `isms-otp unlock`.',
    status: 429,
    title: 'Phone locked',
    detail: refusalMessages.phone_locked,
  },
  too_many_logins: {
    advice: 'Wait for `Retry-After`.',
    status: 429,
    title: 'Too many logins',
    detail:
      'Too many failed logins came from your address; see Retry-After. Until then a right one is refused, too.',
  },
  internal_error: {
    advice: 'Try once more; then tell the operator the `X-Request-Id`.',
    status: 500,
    title: 'Internal error',
    detail: 'Something went wrong on our side. The log holds more under the X-Request-Id.',
  },
  sending_paused: {
    advice: 'Try again after `Retry-After`, and offer another way to sign in meanwhile.',
    status: 503,
    title: 'Sending paused',
    detail: refusalMessages.sending_paused,
    retryAfterSeconds: 10,
  },
  overloaded: {
    advice: 'Try again after `Retry-After` with the same key; the operator starts more workers.',
    status: 503,
    title: 'Overloaded',
    detail: refusalMessages.overloaded,
    retryAfterSeconds: 10,
  },
  queue_unavailable: {
    advice: 'Send the same request again with the same `Idempotency-Key` after `Retry-After`.',
    status: 503,
    title: 'Queue unavailable',
    detail: refusalMessages.queue_unavailable,
    retryAfterSeconds: 1,
  },
  provider_unavailable: {
    advice: 'Let the person press the button again: the same code can still be right.',
    status: 503,
    title: 'Provider unavailable',
    detail: 'iSMS gave no usable answer, so nothing is verified. Ask again with the same code.',
    retryAfterSeconds: 5,
  },
  balance_unavailable: {
    advice: 'Try again after `Retry-After`; does a worker run?',
    status: 503,
    title: 'Balance unavailable',
    detail: 'The balance has not been read yet, or iSMS does not tell it at the moment.',
    retryAfterSeconds: 10,
  },
  not_live: {
    advice: 'Start the process again, if it does not end by itself within seconds.',
    status: 503,
    title: 'Not live',
    detail: 'This process ends: it was told to, or its connection to Redis ended for good.',
    retryAfterSeconds: 1,
  },
  not_ready: {
    advice: 'Send no traffic here until it is 200.',
    status: 503,
    title: 'Not ready',
    detail: 'Redis did not take a write within 500 ms, or evicts keys when it is full.',
    retryAfterSeconds: 1,
  },
} as const satisfies Record<string, ProblemKind>;

/** The stable `code` of a problem. */
export type ProblemCode = keyof typeof table;

/** The one table from code to answer; the documentation is made from it too. */
export const problems: Readonly<Record<ProblemCode, ProblemKind>> = table;

/** Every code, in the order of the table. */
export const problemCodes = Object.keys(table) as ProblemCode[];
