import { z } from 'zod';
import { consumptionDays } from '../../otp/balance.js';
import { failureMessages, type Status, statuses } from '../../otp/otp.js';
import { type RefusalCode, refusalMessages } from '../../otp/refusal.js';
import { purposeSchema } from '../../producer/otp-request.js';
import { batchStatuses } from '../../store/batch-progress.js';
import { waitReasons } from '../../store/waiting-lines.js';

/*
 * Shapes on the wire. Their types are part of the client package, so they must not refer to other parts of the gateway.
 */

const failureCodes = Object.keys(failureMessages) as (keyof typeof failureMessages)[];

/** Times on the wire: UTC with milliseconds. */
const timeSchema = z.iso.datetime({ precision: 3 });

const sixDigits = /^(?:[\s-]*[0-9]){6}[\s-]*$/;

/** A code. A malformed one does not count as an attempt. */
const codeSchema = z
  .string()
  .regex(sixDigits, 'must be six digits')
  .overwrite((code) => code.replace(/[\s-]/g, ''))
  .describe('The code that the user typed: six digits; spaces and dashes are ignored.');

/** Body of a verification. */
export const verifyRequestSchema = z.strictObject({ code: codeSchema });

/** An OTP as its own app sees it. */
export const otpSchema = z.object({
  id: z.string(),
  status: z.enum(statuses),
  to: z.string().describe('The whole number, E.164.'),
  reference: z.string().nullable(),
  purpose: z.string().nullable(),
  createdAt: timeSchema,
  sendDeadline: timeSchema.describe('The OTP is dropped if it is not sent by then.'),
  sentAt: timeSchema.nullable(),
  expiresAt: timeSchema.nullable().describe('The code can be verified until then; set once it is sent.'),
  attemptsRemaining: z.int(),
  uuid: z.string().nullable().describe("iSMS's id."),
  smsId: z.string().nullable().describe("iSMS's id of the SMS."),
  credits: z.number().describe('Credits that one send costs.'),
  failure: z
    .object({ code: z.enum(failureCodes), message: z.string() })
    .nullable()
    .describe('Why the OTP failed.'),
});

/** Answer of a verification. */
export const verifiedSchema = z.object({
  id: z.string(),
  status: z.literal('verified'),
  verifiedAt: timeSchema,
});

/** Body of a verification by number. */
export const verifyByNumberSchema = z.strictObject({
  to: z.string().describe('The number of the OTP, international or national.'),
  code: codeSchema,
  purpose: purposeSchema.optional(),
});

/** The OTPs of one upload, counted by status. */
export const batchSchema = z.object({
  id: z.string(),
  name: z.string().nullable(),
  status: z
    .enum(batchStatuses)
    .describe('`sending` until all OTPs were sent or given up and no upload is under way.'),
  createdAt: timeSchema,
  startAt: timeSchema.nullable(),
  perSecond: z.int().nullable(),
  paused: z.boolean(),
  startedAt: timeSchema.nullable(),
  finishedAt: timeSchema.nullable(),
  waiting: z.int().describe('OTPs that wait for their turn in the batch.'),
  waitsFor: z.enum(waitReasons).nullable().describe('What these wait for; null: only their turn.'),
  rate: z.number().nullable().describe('OTPs a second since the start.'),
  estimatedEnd: timeSchema.nullable().describe('By `rate` and `perSecond`.'),
  lines: z.int().describe('Number of the last line that was accepted or, with an idempotency key, valid.'),
  cancelled: z.boolean().describe('Also false if `DELETE` could not reach the whole batch; repeat it then.'),
  counts: z
    .object(Object.fromEntries(statuses.map((status) => [status, z.int()])) as Record<Status, z.ZodInt>)
    .describe('Accepted OTPs by status; expirations are counted within seconds.'),
});

/** A page of batches. */
export const batchListSchema = z.object({ batches: z.array(batchSchema), next: z.string().nullable() });

/** An OTP with its line in the upload. */
export const batchOtpSchema = z.object({ index: z.int(), ...otpSchema.shape });
export type BatchOtp = z.output<typeof batchOtpSchema>;

/** Result of one line of an upload. */
export const lineResultSchema = z.union([
  z.object({ index: z.int(), id: z.string() }),
  z.object({
    index: z.int(),
    code: z.enum(Object.keys(refusalMessages) as RefusalCode[]),
    message: z.string(),
  }),
]);

/** Result of an upload. */
export const bulkResultSchema = z.object({
  batchId: z.string(),
  accepted: z.int(),
  rejected: z.int(),
  results: z.array(lineResultSchema).describe('In the order of the OTPs; `index` counts from 0.'),
});

/** A line of the answer to a newline-delimited upload. */
export const bulkLineSchema = z.union([
  ...lineResultSchema.options,
  z.object({ summary: bulkResultSchema.omit({ results: true }) }),
]);

const dateSchema = z.iso.date();

/** The account's balance, with alarms and outlook. */
export const balanceSchema = z.object({
  credits: z.number(),
  expiresOn: dateSchema.nullable().describe('Last day on which the credits are valid.'),
  checkedAt: timeSchema,
  low: z.boolean(),
  expiring: z.boolean(),
  creditsPerDay: z.number().nullable().describe(`Average of the last ${consumptionDays} days.`),
  runsOutOn: dateSchema.nullable().describe('Day on which the credits run out at that rate.'),
});

/** A page of past balances. */
export const historySchema = z.object({
  snapshots: z.array(z.object({ at: timeSchema, credits: z.number(), expiresOn: dateSchema.nullable() })),
  next: timeSchema.nullable().describe('`until` of the next page; null on the last one.'),
});
