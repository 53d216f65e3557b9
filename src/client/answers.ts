import type { z } from 'zod';
import type {
  balanceSchema,
  batchSchema,
  bulkResultSchema,
  historySchema,
  lineResultSchema,
  otpSchema,
  verifiedSchema,
  verifyByNumberSchema,
} from '../api/routes/schemas.js';

export type { ProblemCode } from '../api/http/problems.js';
export type { BatchOtp } from '../api/routes/schemas.js';
export type { OtpInput } from '../producer/otp-request-schema.js';

/** An OTP as it was when the gateway answered. Times are UTC with milliseconds. */
export type Otp = z.output<typeof otpSchema>;

/** `queued` → `sending` → `sent` → `verified`, `expired` or `locked`; or `failed`, `unknown`, `cancelled`. */
export type OtpStatus = Otp['status'];

/** Why an OTP did not go well. */
export type FailureCode = NonNullable<Otp['failure']>['code'];

/** A verification that succeeded. */
export type Verified = z.output<typeof verifiedSchema>;

/** OTPs that were uploaded together, counted by status. */
export type Batch = z.output<typeof batchSchema>;

/** Credits of the iSMS account, and how long they last. */
export type Balance = z.output<typeof balanceSchema>;

/** The balance as it was at one moment. */
export type BalanceSnapshot = z.output<typeof historySchema>['snapshots'][number];

/** A code and the number that it was sent to, instead of the OTP's id. */
export type NumberVerification = z.input<typeof verifyByNumberSchema>;

/** What became of one OTP of an upload; `index` is its place, counted from 0. */
export type UploadResult = z.output<typeof lineResultSchema>;

/** An upload that is over. */
export type UploadSummary = Omit<z.output<typeof bulkResultSchema>, 'results'>;
