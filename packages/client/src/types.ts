/**
 * Where an OTP is in its life: `queued` → `sending` → `sent` → `verified`, `expired` or `locked`. An OTP that could not be
 * sent is `failed`, one that may or may not have been sent is `unknown`, and one taken back by its app is `cancelled`.
 */
export type OtpStatus =
  | 'queued'
  | 'sending'
  | 'sent'
  | 'verified'
  | 'expired'
  | 'locked'
  | 'failed'
  | 'unknown'
  | 'cancelled';

/** Why an OTP was not sent, or may not have been sent. */
export type FailureCode =
  | 'not_sent_in_time'
  | 'provider_unreachable'
  | 'outcome_unknown'
  | 'invalid_number'
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
  | 'message_not_allowed'
  | 'phone_rate_limited'
  | 'app_rate_limited'
  | 'app_budget_exceeded'
  | 'client_ip_rate_limited'
  | 'range_blocked'
  | 'phone_locked'
  | 'too_many_rejected'
  | 'batch_cancelled'
  | 'sending_paused'
  | 'app_paused'
  | 'overloaded'
  | 'internal_error'
  | 'queue_unavailable';

/** Every error code of the gateway; `/docs#problems` of a gateway explains each. */
export type ProblemCode =
  | RefusalCode
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
  | 'batch_ended'
  | 'batch_started'
  | 'not_sent'
  | 'not_verifiable'
  | 'verification_in_progress'
  | 'too_many_jobs'
  | 'otp_expired'
  | 'otp_cancelled'
  | 'attempts_exhausted'
  | 'request_timeout'
  | 'headers_too_large'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'expectation_failed'
  | 'incorrect_code'
  | 'too_many_uploads'
  | 'too_many_exports'
  | 'too_many_logins'
  | 'provider_unavailable'
  | 'balance_unavailable'
  | 'not_live'
  | 'not_ready';

/** An OTP to send. Members that are left out have the gateway's defaults. */
export interface OtpInput {
  /** Mobile number, international (`+60123456789`) or national in the gateway's default country (`012-345 6789`). */
  to: string;
  /** Text of the SMS, with `%OTP%` exactly once in place of the code. */
  message?: string | undefined;
  /** Name of a text that the operator wrote for the app, in place of `message`. */
  template?: string | undefined;
  /** Language of the template, such as `ms` or `zh-Hans` (BCP 47); the closest one that the template has is used. */
  locale?: string | undefined;
  /** What the OTP is for, such as `login`: `verifyByNumber` finds the newest OTP of a number and purpose. */
  purpose?: string | undefined;
  /** Sender of the SMS, at most 11 letters and digits. Malaysian handsets do not show it. */
  senderId?: string | undefined;
  /** How long the code can be verified, counted from its send, in seconds: 30 to 600. */
  ttlSeconds?: number | undefined;
  /** How long the OTP may wait to be sent, in seconds: 1 to 86,400. Then it expires instead of being sent late. */
  sendDeadlineSeconds?: number | undefined;
  /** How many codes may be tried; at most the gateway's default. */
  maxAttempts?: number | undefined;
  /** Your own id, 1 to 200 characters: `findByReference` finds the OTP by it. */
  reference?: string | undefined;
  /** Address of the user who asks for the code: the gateway limits OTPs per address. */
  clientIp?: string | undefined;
}

/** An OTP as it was when the gateway answered. Times are UTC with milliseconds: `2026-01-01T00:00:00.000Z`. */
export interface Otp {
  /** The gateway's id of the OTP. */
  id: string;
  /** Where the OTP is in its life. */
  status: OtpStatus;
  /** The whole number, such as `+60123456789` (E.164). */
  to: string;
  /** Your own id, as given to the send. */
  reference: string | null;
  /** What the OTP is for, as given to the send. */
  purpose: string | null;
  /** When the gateway accepted it. */
  createdAt: string;
  /** When it expires if it has not been sent. */
  sendDeadline: string;
  /** When iSMS accepted the SMS; null before. */
  sentAt: string | null;
  /** Until when the code can be verified; null before it is sent. */
  expiresAt: string | null;
  /** How many codes can still be tried. */
  attemptsRemaining: number;
  /** One of the two ids that iSMS gave the SMS. */
  uuid: string | null;
  /** The other id that iSMS gave the SMS. */
  smsId: string | null;
  /** Price of one send, in credits. */
  credits: number;
  /** Why it was not sent, or may not have been sent; null if nothing went wrong. */
  failure: OtpFailure | null;
}

/** Why an OTP was not sent, or may not have been sent. */
export interface OtpFailure {
  /** Stable, for programs. */
  code: FailureCode;
  /** In English, for people. */
  message: string;
}

/** A verification that succeeded. */
export interface Verified {
  /** The OTP's id. */
  id: string;
  /** Always `verified`: other outcomes are errors. */
  status: 'verified';
  /** When it was verified, UTC. */
  verifiedAt: string;
}

/** A code and the number that it was sent to, in place of the OTP's id. */
export interface NumberVerification {
  /** The number that the code was sent to, in any notation that a send accepts. */
  to: string;
  /** The six digits that the user typed. */
  code: string;
  /** The purpose of the OTP, if it was sent with one. */
  purpose?: string | undefined;
}

/** Where a batch is: `sending` until all its OTPs were sent or given up and no upload is under way. */
export type BatchStatus = 'scheduled' | 'sending' | 'paused' | 'cancelled' | 'finished';

/** What the waiting OTPs of a batch wait for. */
export type BatchWaitReason = 'start' | 'paused' | 'app_paused' | 'pace' | 'earlier_batch' | 'number_range';

/** OTPs that were uploaded together, counted by status. */
export interface Batch {
  /** The gateway's id of the batch. */
  id: string;
  /** Name for people, as given to the upload. */
  name: string | null;
  /** Where the batch is. */
  status: BatchStatus;
  /** When it starts, UTC; null: at once. */
  startAt: string | null;
  /** OTPs sent in a second at most; null: as many as can be sent. */
  perSecond: number | null;
  /** Whether it is paused. */
  paused: boolean;
  /** When its first OTP had its turn. */
  startedAt: string | null;
  /** When all its OTPs were sent or given up. */
  finishedAt: string | null;
  /** OTPs that wait for their turn in the batch. */
  waiting: number;
  /** What these wait for; null: only their turn. */
  waitsFor: BatchWaitReason | null;
  /** OTPs a second since the start; null before it. */
  rate: number | null;
  /** When it will have ended, by `rate` and `perSecond`; null while that cannot be told. */
  estimatedEnd: string | null;
  /** When the upload began, UTC. */
  createdAt: string;
  /** Lines of the upload up to the last one that was accepted or, under an idempotency key, could be read. */
  lines: number;
  /** Whether it was cancelled; false if a cancellation could not reach all of it and must be repeated. */
  cancelled: boolean;
  /** Accepted OTPs by status. Expiries are counted within seconds. */
  counts: Record<OtpStatus, number>;
}

/** A change of a batch; members that are left out stay. */
export interface BatchChange {
  /** Pauses or resumes it. */
  paused?: boolean | undefined;
  /** OTPs sent in a second at most, 1 to 10,000; null: as many as can be sent. */
  perSecond?: number | null | undefined;
  /** Another start, at most 7 days after the upload, of a batch that has not started; in the past: now. */
  startAt?: Date | string | undefined;
}

/** An OTP of a batch. */
export interface BatchOtp extends Otp {
  /** Its place in the upload, counted from 0. */
  index: number;
}

/** The answer to one OTP of an upload: the id of an accepted OTP, or the error of one that was not accepted. */
export type UploadResult =
  | {
      /** The OTP's place in the upload, counted from 0. */
      index: number;
      /** The gateway's id of the OTP. */
      id: string;
    }
  | {
      /** The OTP's place in the upload, counted from 0. */
      index: number;
      /** Why it was not accepted. Stable, for programs. */
      code: RefusalCode;
      /** In English, for people. */
      message: string;
    };

/** The answer to a whole upload. */
export interface UploadSummary {
  /** Id of the batch, for `getBatch`, `listBatch` and `cancelBatch`. */
  batchId: string;
  /** How many OTPs were accepted. */
  accepted: number;
  /** How many OTPs were not accepted. */
  rejected: number;
}

/** Credits of the iSMS account, and how long they last. */
export interface Balance {
  /** Credits left. */
  credits: number;
  /** Last day on which the credits can be used, such as `2026-12-31`; null if they do not expire. */
  expiresOn: string | null;
  /** When the gateway read the balance, UTC. */
  checkedAt: string;
  /** Whether the credits are below the operator's threshold. */
  low: boolean;
  /** Whether the credits expire soon, by the operator's threshold. */
  expiring: boolean;
  /** Average use of the last days; null while it is not known. */
  creditsPerDay: number | null;
  /** The day on which the credits run out at that rate; null while it is not known. */
  runsOutOn: string | null;
}

/** The balance at one moment. */
export interface BalanceSnapshot {
  /** When the gateway read it, UTC. */
  at: string;
  /** Credits left. */
  credits: number;
  /** Last day on which the credits can be used; null if they do not expire. */
  expiresOn: string | null;
}
