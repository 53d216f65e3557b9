import { refusalMessages } from '../../otp/refusal.js';
import { tooManyBatches } from '../../producer/backpressure.js';

/** A line of the table; a problem's own detail replaces `detail`. */
interface ProblemKind {
  status: number;
  title: string;
  /** Left out of the table: the message of the refusal of the same code. */
  detail: string;
  /** What the app or its developer should do. */
  advice: string;
  retryAfterSeconds?: number;
}

const table = {
  invalid_request: {
    advice: 'Correct the request: see `errors`. Do not retry it unchanged.',
    status: 400,
    title: 'Invalid request',
  },
  unauthorized: {
    advice:
      'Send `Authorization: Bearer <key>` with a key of your app. The operator makes keys with `isms-otp keys create` and puts them into `API_KEYS` or the apps file; `npm start` prints one.',
    status: 401,
    title: 'Unauthorized',
    detail:
      'The API key or login is missing or wrong. API: send the header `Authorization: Bearer <key>`, with a key from the operator.',
  },
  cross_site_request: {
    advice: 'Use the admin pages, or HTTP Basic from a script.',
    status: 403,
    title: 'Cross-site request',
    detail: 'Changes are accepted only from the admin pages.',
  },
  action_not_offered: {
    advice: 'Set `ADMIN_ACTIONS=on`, or use the API.',
    status: 403,
    title: 'Action not available',
    detail:
      'This action is not available. `ADMIN_ACTIONS=on` allows the buttons of the overview, and in Bull Board to retry, promote and remove jobs and to pause queues. Send OTPs through the API.',
  },
  not_found: {
    advice: 'Check the path; `/docs` lists every path.',
    status: 404,
    title: 'Not found',
    detail: 'This path does not exist. The documentation at /docs lists every path.',
  },
  otp_not_found: {
    advice:
      'Check the id and the API key: OTPs of other apps are not found either. Records are deleted after `OTP_RETENTION_SECONDS`.',
    status: 404,
    title: 'OTP not found',
    detail: 'No such OTP, or its record was deleted.',
  },
  app_not_found: {
    advice: 'Check the name; the overview and `isms-otp apps list` show every app.',
    status: 404,
    title: 'App not found',
    detail: 'No app of this name has a key.',
  },
  batch_not_found: {
    advice: 'Check the id and the API key, as for `otp_not_found`.',
    status: 404,
    title: 'Batch not found',
    detail: 'No such batch, or its record was deleted.',
  },
  not_acceptable: {
    advice: 'Send another `Accept` header, or none.',
    status: 406,
    title: 'Not acceptable',
    detail: 'This path offers none of the media types in `Accept`.',
  },
  method_not_allowed: {
    advice: 'Use a method listed in `Allow`.',
    status: 405,
    title: 'Method not allowed',
    detail: 'This path does not support this method; `Allow` lists those it supports.',
  },
  already_verified: {
    advice: 'Let the user in only if this login verified the code; otherwise send a new one.',
    status: 409,
    title: 'Already verified',
    detail: 'The OTP was verified before; a code is valid once.',
  },
  not_sent: {
    advice: 'Let the user retry the same code in a moment; offer a new one after `sendDeadline`.',
    status: 409,
    title: 'Not sent',
    detail: 'The OTP is not sent yet, or was dropped because it could not be sent in time.',
  },
  not_verifiable: {
    advice: 'Offer to send a new code.',
    status: 409,
    title: 'Not verifiable',
    detail: 'The OTP could not be sent, or its iSMS ids are missing, so it cannot be verified.',
  },
  verification_in_progress: {
    advice:
      'Read the OTP after a second. If it is `verified`, another call verified it: do not let this user in.',
    status: 409,
    title: 'Verification in progress',
    detail: 'The remaining attempts are being verified at this moment.',
  },
  too_many_jobs: {
    advice: 'Pause the queue instead.',
    status: 409,
    title: 'Too many jobs',
    detail:
      'The action affects more than 10,000 jobs and would block Redis. Pause the queue instead: waiting OTPs are dropped at their deadline, and finished jobs are deleted after OTP_RETENTION_SECONDS.',
  },
  otp_expired: {
    advice: 'Offer to send a new code.',
    status: 410,
    title: 'OTP expired',
    detail: 'The code has expired.',
  },
  otp_cancelled: {
    advice: 'Use the code of the newer OTP, or offer to send a new code.',
    status: 410,
    title: 'OTP cancelled',
    detail: 'The OTP was cancelled, so its code is invalid.',
  },
  attempts_exhausted: {
    advice: 'Offer to send a new code.',
    status: 410,
    title: 'Attempts exhausted',
    detail: 'No attempts remain for this OTP.',
  },
  idempotency_in_flight: {
    advice: 'Retry the same request after a second.',
    status: 409,
    title: 'Idempotency key in flight',
  },
  batch_cancelled: {
    advice: 'Start a new batch with another key.',
    status: 409,
    title: 'Batch cancelled',
  },
  batch_ended: {
    advice: 'Send further OTPs in a new batch.',
    status: 409,
    title: 'Batch ended',
    detail: 'The batch has finished or was cancelled, so it cannot be changed.',
  },
  batch_started: {
    advice: 'Pause the batch instead, or upload it with `startAt`.',
    status: 409,
    title: 'Batch started',
    detail: 'The batch has started, or was uploaded without a start, so it cannot get another start.',
  },
  request_timeout: {
    advice: 'Retry. If it happens again, check the network between the app and the gateway.',
    status: 408,
    title: 'Request timeout',
    detail: 'The request did not arrive in time.',
  },
  headers_too_large: {
    advice: 'Send fewer or shorter headers.',
    status: 431,
    title: 'Headers too large',
    detail: 'A request may have 100 headers of 16 KiB in total.',
  },
  body_too_large: {
    advice: 'Send less at a time; send many OTPs to `/v1/otps/bulk`.',
    status: 413,
    title: 'Body too large',
    detail: 'The body is larger than this path accepts.',
  },
  unsupported_media_type: {
    advice: 'Send `Content-Type: application/json`, or another documented type, uncompressed.',
    status: 415,
    title: 'Unsupported media type',
    detail: 'The `Content-Type` is not one that this path documents, not UTF-8, or compressed.',
  },
  expectation_failed: {
    advice: 'Send no `Expect` header, or `100-continue`.',
    status: 417,
    title: 'Expectation failed',
    detail: 'Only the expectation `100-continue` is supported.',
  },
  idempotency_key_reused: {
    advice: 'Use a new key for each new request, and the same body with a repeated key.',
    status: 422,
    title: 'Idempotency key reused',
  },
  invalid_phone_number: {
    advice: 'Ask the user to correct the number.',
    status: 422,
    title: 'Invalid phone number',
  },
  recipient_denied: {
    advice: 'Offer another way to sign in. The operator finds the entry by `isms-otp numbers list`.',
    status: 422,
    title: 'Recipient denied',
  },
  country_not_allowed: {
    advice: 'Tell the user that the country is not supported, or ask the operator to allow it.',
    status: 422,
    title: 'Country not allowed',
  },
  message_not_allowed: {
    advice: 'Change the message as `errors` says, or use a template.',
    status: 422,
    title: 'Message not allowed',
  },
  incorrect_code: {
    advice: 'Let the user retry while `attemptsRemaining` is above 0.',
    status: 422,
    title: 'Incorrect code',
    detail: 'The code is wrong; `attemptsRemaining` is the number of attempts that remain.',
  },
  binding_mismatch: {
    advice:
      'Show the user what is to be approved, and send a new code for it. Check that `binding` is the same in send and verification.',
    status: 422,
    title: 'Binding mismatch',
    detail:
      '`binding` is not what this OTP approves, is missing, or is not expected. It counts as a wrong code; `attemptsRemaining` is the number of attempts that remain.',
  },
  recipient_rate_limited: {
    advice: 'Ask the user to enter the code already sent, and allow a new one after `Retry-After`.',
    status: 429,
    title: 'Too many OTPs to this number',
  },
  app_rate_limited: {
    advice: 'Retry the same request after `Retry-After`; use the bulk upload for many OTPs.',
    status: 429,
    title: 'Too many OTPs of this app',
  },
  client_ip_rate_limited: {
    advice: "Retry after `Retry-After`. Check that `clientIp` is the user's address, not your proxy's.",
    status: 429,
    title: 'Too many OTPs from this client address',
  },
  limit_key_rate_limited: {
    advice:
      'Retry after `Retry-After`; `detail` names the kind of limit key. Offer the user another way to sign in until then.',
    status: 429,
    title: 'Too many OTPs for this limit key',
  },
  too_many_uploads: {
    advice: 'Retry the upload with the same key after `Retry-After`; run fewer uploads at a time.',
    status: 429,
    title: 'Too many uploads',
    detail: 'This app already runs as many uploads as it may.',
  },
  too_many_batches: {
    advice:
      'Retry the upload after `Retry-After`; put more OTPs into each batch, or cancel batches that you no longer need.',
    status: 429,
    title: 'Too many batches',
    detail: tooManyBatches,
  },
  too_many_exports: {
    advice: 'Retry after `Retry-After`; run fewer exports at a time, or read pages.',
    status: 429,
    title: 'Too many exports',
    detail: 'This app already runs as many NDJSON and CSV exports as it may.',
  },
  too_many_rejected: {
    advice: 'Correct the rejected lines, then repeat the upload with the same key.',
    status: 429,
    title: 'Too many rejected lines',
  },
  app_budget_exceeded: {
    advice:
      'Offer another way to sign in until `Retry-After`, when the day or month of the budget ends. The operator can raise the budget.',
    status: 429,
    title: 'Budget of the app spent',
  },
  range_blocked: {
    advice:
      'Retry the same request after `Retry-After`, not earlier. If the numbers are genuine, the operator unblocks the range: `isms-otp ranges unblock`.',
    status: 429,
    title: 'Number range blocked',
  },
  recipient_locked: {
    advice: 'Refer the user to your support; the operator unlocks the number: `isms-otp numbers unlock`.',
    status: 429,
    title: 'Number locked',
  },
  too_many_logins: {
    advice: 'Retry after `Retry-After`.',
    status: 429,
    title: 'Too many failed logins',
    detail:
      'Too many failed logins from your address. Until `Retry-After`, even a correct login is rejected.',
  },
  internal_error: {
    advice: 'Retry once; then report the `X-Request-Id` to the operator.',
    status: 500,
    title: 'Internal error',
    detail: "Internal error. The gateway's log holds details under the `X-Request-Id`.",
  },
  sending_paused: {
    advice: 'Retry after `Retry-After`, and offer another way to sign in meanwhile.',
    status: 503,
    title: 'Sending paused',
    retryAfterSeconds: 10,
  },
  app_paused: {
    advice:
      'Retry after `Retry-After`, and offer another way to sign in meanwhile. The operator resumes the app: `isms-otp apps resume`.',
    status: 503,
    title: 'App paused',
    retryAfterSeconds: 60,
  },
  overloaded: {
    advice: 'Retry with the same key after `Retry-After`; the operator can start more workers.',
    status: 503,
    title: 'Overloaded',
    retryAfterSeconds: 10,
  },
  queue_unavailable: {
    advice: 'Retry the same request with the same `Idempotency-Key` after `Retry-After`.',
    status: 503,
    title: 'Redis unavailable',
    retryAfterSeconds: 1,
  },
  provider_unavailable: {
    advice: 'Let the user retry the same code.',
    status: 503,
    title: 'Provider unavailable',
    detail: 'iSMS gave no usable answer, so the code could not be verified. Retry with the same code.',
    retryAfterSeconds: 5,
  },
  balance_unavailable: {
    advice: 'Retry after `Retry-After`; check that a worker runs.',
    status: 503,
    title: 'Balance unavailable',
    detail: 'The balance was not read yet, or iSMS does not return it at the moment.',
    retryAfterSeconds: 10,
  },
  not_live: {
    advice: 'Restart the process if it does not end within seconds.',
    status: 503,
    title: 'Not live',
    detail: 'This process is shutting down, or lost its connection to Redis for good.',
    retryAfterSeconds: 1,
  },
  not_ready: {
    advice: 'Route no traffic to this process until it answers 200.',
    status: 503,
    title: 'Not ready',
    detail: 'Redis did not accept a write within 500 ms, or evicts keys when it is full.',
    retryAfterSeconds: 1,
  },
} as const satisfies Record<string, Omit<ProblemKind, 'detail'> & { detail?: string }>;

/** The stable `code` of a problem. */
export type ProblemCode = keyof typeof table;

/** Every problem by its code; the documentation is generated from it. */
export const problems = Object.fromEntries(
  Object.entries(table).map(([code, kind]) => [
    code,
    { detail: Reflect.get(refusalMessages, code), ...kind },
  ]),
) as Readonly<Record<ProblemCode, ProblemKind>>;

/** Every code, in the order of the table. */
export const problemCodes = Object.keys(table) as ProblemCode[];
