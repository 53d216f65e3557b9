import type * as api from './api.js';

export type {
  Balance,
  BalanceSnapshot,
  Batch,
  BatchOtp,
  BatchStatus,
  BatchWaitReason,
  FailureCode,
  Otp,
  OtpFailure,
  OtpRequest as OtpInput,
  OtpStatus,
  ProblemCode,
  RefusalCode,
  Stats,
  StatsRow,
  UploadResult,
  UploadSummary,
  Verified,
  VerifyByNumberRequest as NumberVerification,
} from './api.js';

/** A change of a batch; members that are left out stay. */
export interface BatchChange extends Omit<api.BatchChange, 'startAt'> {
  /** Another start, at most 7 days after the upload, of a batch that has not started; in the past: now. */
  startAt?: Date | string | undefined;
}
