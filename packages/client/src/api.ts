// Generated from docs/openapi.json by `npm run docs:write`; do not edit.

/** Status of an OTP: `queued` → `sending` → `sent` → `verified`, `expired` or `locked`. An OTP that could not be sent is `failed`, one that may or may not have been sent is `unknown`, and one that its app cancelled is `cancelled`. */
export type OtpStatus =
  'queued' | 'sending' | 'sent' | 'verified' | 'expired' | 'locked' | 'failed' | 'unknown' | 'cancelled';
/** Why an OTP was not sent, or may not have been sent. */
export type FailureCode =
  | 'not_sent_in_time'
  | 'provider_unreachable'
  | 'outcome_unknown'
  | 'invalid_number'
  | 'recipient_denied'
  | 'message_refused'
  | 'insufficient_credits'
  | 'rejected';
/** Why the gateway did not accept an OTP: the error of a send, or of one line of an upload. */
export type RefusalCode =
  | 'invalid_request'
  | 'idempotency_in_flight'
  | 'idempotency_key_reused'
  | 'invalid_phone_number'
  | 'country_not_allowed'
  | 'recipient_denied'
  | 'message_not_allowed'
  | 'recipient_rate_limited'
  | 'app_rate_limited'
  | 'app_budget_exceeded'
  | 'client_ip_rate_limited'
  | 'limit_key_rate_limited'
  | 'range_blocked'
  | 'recipient_locked'
  | 'too_many_rejected'
  | 'batch_cancelled'
  | 'sending_paused'
  | 'app_paused'
  | 'overloaded'
  | 'internal_error'
  | 'queue_unavailable';
/** Status of a batch: `sending` until all OTPs were sent or given up and no upload is under way. */
export type BatchStatus = 'scheduled' | 'sending' | 'paused' | 'cancelled' | 'finished';
/** What the waiting OTPs of a batch wait for. */
export type BatchWaitReason = 'start' | 'paused' | 'app_paused' | 'pace' | 'earlier_batch' | 'number_range';
/** Result of one OTP of an upload: its id, or why it was not accepted. */
export type UploadResult =
  | {
      /** Place of the OTP in the upload, counted from 0. */
      index: number;
      /** The gateway's id of the OTP. */
      id: string;
    }
  | {
      /** Place of the OTP in the upload, counted from 0. */
      index: number;
      /** Stable, for programs. */
      code: RefusalCode;
      /** In English, for people. */
      message: string;
    };
/** Stable identifier of a problem. */
export type ProblemCode =
  | 'invalid_request'
  | 'unauthorized'
  | 'cross_site_request'
  | 'action_not_offered'
  | 'not_found'
  | 'otp_not_found'
  | 'app_not_found'
  | 'batch_not_found'
  | 'not_acceptable'
  | 'method_not_allowed'
  | 'already_verified'
  | 'not_sent'
  | 'not_verifiable'
  | 'verification_in_progress'
  | 'too_many_jobs'
  | 'otp_expired'
  | 'otp_cancelled'
  | 'attempts_exhausted'
  | 'idempotency_in_flight'
  | 'batch_cancelled'
  | 'batch_ended'
  | 'batch_started'
  | 'request_timeout'
  | 'headers_too_large'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'expectation_failed'
  | 'idempotency_key_reused'
  | 'invalid_phone_number'
  | 'recipient_denied'
  | 'country_not_allowed'
  | 'message_not_allowed'
  | 'incorrect_code'
  | 'binding_mismatch'
  | 'recipient_rate_limited'
  | 'app_rate_limited'
  | 'client_ip_rate_limited'
  | 'limit_key_rate_limited'
  | 'too_many_uploads'
  | 'too_many_batches'
  | 'too_many_exports'
  | 'too_many_rejected'
  | 'app_budget_exceeded'
  | 'range_blocked'
  | 'recipient_locked'
  | 'too_many_logins'
  | 'internal_error'
  | 'sending_paused'
  | 'app_paused'
  | 'overloaded'
  | 'queue_unavailable'
  | 'provider_unavailable'
  | 'balance_unavailable'
  | 'not_live'
  | 'not_ready';

/** Why an OTP was not sent, or may not have been sent. */
export interface OtpFailure {
  /** Stable, for programs. */
  code: FailureCode;
  /** In English, for people. */
  message: string;
}
/** OTPs by status. */
export interface OtpCounts {
  /** OTPs that are `queued`. */
  queued: number;
  /** OTPs that are `sending`. */
  sending: number;
  /** OTPs that are `sent`. */
  sent: number;
  /** OTPs that are `verified`. */
  verified: number;
  /** OTPs that are `expired`. */
  expired: number;
  /** OTPs that are `locked`. */
  locked: number;
  /** OTPs that are `failed`. */
  failed: number;
  /** OTPs that are `unknown`. */
  unknown: number;
  /** OTPs that are `cancelled`. */
  cancelled: number;
}
/** Result of a whole upload. */
export interface UploadSummary {
  /** Id of the batch. */
  batchId: string;
  /** How many OTPs were accepted. */
  accepted: number;
  /** How many OTPs were not accepted. */
  rejected: number;
}
/** The balance at one moment. */
export interface BalanceSnapshot {
  /** When the gateway read the balance. */
  at: string;
  /** Remaining credits. */
  credits: number;
  /** Last day on which the credits are valid; null if they do not expire. */
  expiresOn: string | null;
}
/** Counts of a group in a step. */
export interface StatsRow {
  /** Start of the step. */
  start: string;
  /** The country, purpose or template; null with `by=status`, for OTPs without one, and for requests that were rejected before it was known. */
  group: string | null;
  /** OTPs accepted. */
  accepted: number;
  /** Requests rejected, by problem code. */
  rejected: Record<string, number>;
  /** OTPs that iSMS accepted. */
  sent: number;
  /** How many of these were verified. */
  verified: number;
  /** OTPs that ended without an SMS, by failure code. */
  failed: Record<string, number>;
  /** OTPs that ended without knowing whether an SMS was sent. */
  unknown: number;
  /** Credits of the OTPs sent. */
  credits: number;
  /** Share of the OTPs sent that were verified; null if none was sent. */
  conversion: number | null;
  /** Median time from send to verification, interpolated between 0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600 s. */
  medianVerifySeconds: number | null;
}
/** `data` of an event of an OTP. It holds no phone number; `GET /v1/otps/{id}` returns it. */
export interface OtpEventData {
  /** Id of the OTP. */
  id: string;
  /** The app that sent the OTP. */
  app: string;
  /** The app's own id of the OTP, as given to the send. */
  reference: string | null;
  /** Status of the OTP since this event. */
  status: 'sent' | 'failed' | 'unknown' | 'verified' | 'expired' | 'locked';
  /** Why the OTP failed or is unknown; null otherwise. */
  failure: OtpFailure | null;
}
/** `data` of `batch.started`. */
export interface BatchEventData {
  /** Id of the batch. */
  id: string;
  /** The app concerned. */
  app: string;
  /** Name of the batch, as given to the upload. */
  name: string | null;
}
/** `data` of `batch.finished`. */
export interface BatchEndData {
  /** Id of the batch. */
  id: string;
  /** The app concerned. */
  app: string;
  /** Name of the batch, as given to the upload. */
  name: string | null;
  /** Whether the batch was cancelled. */
  status: 'finished' | 'cancelled';
  /** Lines of the upload. */
  lines: number;
  /** OTPs by status, when the batch ended. */
  counts: OtpCounts;
}
/** `data` of `balance.low` and `balance.expiring`. */
export interface BalanceEventData {
  /** Remaining credits. */
  credits: number;
  /** Last day on which the credits are valid; null if they do not expire. */
  expiresOn: string | null;
}
/** `data` of `sending.paused` and `sending.resumed`. */
export interface SendingEventData {
  /** Trouble with the iSMS account, such as `insufficient_credits`. */
  trouble: string;
  /** The reply of iSMS, if the gateway does not know it. */
  text: string | null;
  /** The app that is paused, if it is only one. */
  app?: string | undefined;
}
/** `data` of `range.blocked`: too few codes sent to a number range are verified. */
export interface RangeEventData {
  /** The app concerned. */
  app: string;
  /** The number range, masked. */
  range: string;
  /** Whether OTPs to it are rejected; false if the guard only monitors. */
  enforced: boolean;
}
/** `data` of `conversion.low`: hardly any OTPs of an app to a country are verified. */
export interface ConversionEventData {
  /** The app concerned. */
  app: string;
  /** The country, such as `MY` (ISO 3166). */
  country: string;
  /** OTPs sent to it. */
  sent: number;
  /** How many of these were verified. */
  verified: number;
}
/** `data` of `budget.low` and `budget.spent`: 80 % and 100 % of an app's budget are used. */
export interface BudgetEventData {
  /** The app concerned. */
  app: string;
  /** Period of the budget. */
  period: 'day' | 'month';
  /** Credits of the budget. */
  budget: number;
  /** Credits used. */
  used: number;
  /** When the day or month ends. */
  endsAt: string;
}
/** An OTP to send. Members that are left out have the defaults of the gateway. */
export interface OtpRequest {
  /** Mobile number, international or national in MY. */
  to: string;
  /** Holds `%OTP%` exactly once; iSMS puts the code there. Default, with the brand of the app if it has one: Your {brand} verification code is %OTP%. Do not share it with anyone. */
  message?: string | undefined;
  /** Name of a message that the operator wrote for the app, in place of `message`. */
  template?: string | undefined;
  /** Language of the template (BCP 47), as near as it has one. */
  locale?: string | undefined;
  /** A value for each variable of the template. */
  variables?: Record<string, string> | undefined;
  /** Purpose of the OTP, such as `login`: `POST /v1/verify` finds the newest OTP by number and purpose. */
  purpose?: string | undefined;
  /** Letters and digits, at most 11. Malaysian handsets do not show it. */
  senderId?: string | undefined;
  /** Seconds for which the code can be verified, from its send call. Default: 300 */
  ttlSeconds?: number | undefined;
  /** Seconds after which an unsent OTP expires. Default: 120 */
  sendDeadlineSeconds?: number | undefined;
  /** Attempts to verify it; fewer than the default, not more. Default: 5 */
  maxAttempts?: number | undefined;
  /** Your own id, 1 to 200 characters: finds the OTP again. */
  reference?: string | undefined;
  /** IP address of the end user, for the limit per client address. */
  clientIp?: string | undefined;
  /** Your own ids to limit OTPs by, such as the user or the device: for each, one of the kinds that the operator defined for the app, and the id, 1 to 200 characters, compared exactly. */
  limitKeys?: Record<string, string> | undefined;
  /** What the code approves, such as a payment by its id, amount and account: 1 to 200 characters. A verification must name exactly the same. */
  binding?: string | undefined;
}
/** An OTP as its own app sees it. Times are UTC with milliseconds. */
export interface Otp {
  /** The gateway's id of the OTP. */
  id: string;
  /** Status of the OTP. */
  status: OtpStatus;
  /** The whole number, such as `+60123456789` (E.164). */
  to: string;
  /** Your own id, as given to the send. */
  reference: string | null;
  /** Purpose of the OTP, as given to the send. */
  purpose: string | null;
  /** When the gateway accepted the OTP. */
  createdAt: string;
  /** When the OTP expires if it is not sent by then. */
  sendDeadline: string;
  /** When iSMS accepted the SMS; null before. */
  sentAt: string | null;
  /** Until when the code can be verified; null before the OTP is sent. */
  expiresAt: string | null;
  /** How many codes can still be tried. */
  attemptsRemaining: number;
  /** `uuid` of iSMS for the SMS; null before it is sent. */
  uuid: string | null;
  /** `sms_id` of iSMS for the SMS; null before it is sent. */
  smsId: string | null;
  /** Credits that one send costs. */
  credits: number;
  /** Why the OTP failed or is unknown; null otherwise. */
  failure: OtpFailure | null;
}
/** A successful verification. */
export interface Verified {
  /** Id of the OTP. */
  id: string;
  /** Always `verified`: other results are errors. */
  status: 'verified';
  /** When the OTP was verified. */
  verifiedAt: string;
}
/** A code, with the number that it was sent to in place of the id. */
export interface VerifyByNumberRequest {
  /** The number of the OTP, international or national. */
  to: string;
  /** The code that the user typed: six digits; spaces and dashes are ignored. */
  code: string;
  /** Purpose of the OTP, such as `login`: `POST /v1/verify` finds the newest OTP by number and purpose. */
  purpose?: string | undefined;
  /** What the code approves, exactly as given to the send. Leave it out if the OTP has none. */
  binding?: string | undefined;
}
/** The OTPs of one upload, counted by status. */
export interface Batch {
  /** The gateway's id of the batch. */
  id: string;
  /** Name for people, as given to the upload. */
  name: string | null;
  /** Status of the batch. */
  status: BatchStatus;
  /** When the upload began. */
  createdAt: string;
  /** When the batch starts; null: at once. */
  startAt: string | null;
  /** OTPs sent in a second at most; null: as many as can be sent. */
  perSecond: number | null;
  /** Whether the batch is paused. */
  paused: boolean;
  /** When the first OTP had its turn. */
  startedAt: string | null;
  /** When all OTPs were sent or given up. */
  finishedAt: string | null;
  /** OTPs that wait for their turn in the batch. */
  waiting: number;
  /** What these wait for; null: only their turn. */
  waitsFor: BatchWaitReason | null;
  /** OTPs a second since the start; null before it. */
  rate: number | null;
  /** Estimate by `rate` and `perSecond`; null while there is none. */
  estimatedEnd: string | null;
  /** Number of the last line that was accepted or, with an idempotency key, valid. */
  lines: number;
  /** Also false if `DELETE` could not reach the whole batch; repeat it then. */
  cancelled: boolean;
  /** Accepted OTPs by status; expirations are counted within seconds. */
  counts: OtpCounts;
}
/** A change of a batch. Members that are left out stay. */
export interface BatchChange {
  /** Pauses or resumes the batch. */
  paused?: boolean | undefined;
  /** OTPs sent in a second at most; null: as many as can be sent. */
  perSecond?: number | null | undefined;
  /** At most 7 days after the upload; deadlines move with it. In the past: now. */
  startAt?: string | undefined;
}
/** An OTP of a batch. */
export interface BatchOtp {
  /** Place of the OTP in the upload, counted from 0. */
  index: number;
  /** The gateway's id of the OTP. */
  id: string;
  /** Status of the OTP. */
  status: OtpStatus;
  /** The whole number, such as `+60123456789` (E.164). */
  to: string;
  /** Your own id, as given to the send. */
  reference: string | null;
  /** Purpose of the OTP, as given to the send. */
  purpose: string | null;
  /** When the gateway accepted the OTP. */
  createdAt: string;
  /** When the OTP expires if it is not sent by then. */
  sendDeadline: string;
  /** When iSMS accepted the SMS; null before. */
  sentAt: string | null;
  /** Until when the code can be verified; null before the OTP is sent. */
  expiresAt: string | null;
  /** How many codes can still be tried. */
  attemptsRemaining: number;
  /** `uuid` of iSMS for the SMS; null before it is sent. */
  uuid: string | null;
  /** `sms_id` of iSMS for the SMS; null before it is sent. */
  smsId: string | null;
  /** Credits that one send costs. */
  credits: number;
  /** Why the OTP failed or is unknown; null otherwise. */
  failure: OtpFailure | null;
}
/** Credits of the iSMS account, and how long they last. */
export interface Balance {
  /** Remaining credits. */
  credits: number;
  /** Last day on which the credits are valid; null if they do not expire. */
  expiresOn: string | null;
  /** When the gateway read the balance. */
  checkedAt: string;
  /** Whether the credits are below the operator's threshold. */
  low: boolean;
  /** Whether the credits expire soon, by the operator's threshold. */
  expiring: boolean;
  /** Average use of the last 7 days; null while it is not known. */
  creditsPerDay: number | null;
  /** Day on which the credits run out at that rate; null: not known. */
  runsOutOn: string | null;
}
/** Statistics of an app. */
export interface Stats {
  /** Groups of the rows. */
  by: 'status' | 'country' | 'purpose' | 'template';
  /** Time that a row covers. */
  step: '5m' | '1h' | '1d';
  /** Start of the first step. */
  since: string;
  /** End, exclusive. */
  until: string;
  /** By time and group. */
  rows: StatsRow[];
}
