import { z } from 'zod';
import { consumptionDays } from '../../otp/balance.js';
import { failureMessages } from '../../otp/failure.js';
import { type Status, statuses } from '../../otp/states.js';
import { purposeSchema } from '../../producer/otp-request-schema.js';
import { type RefusalCode, refusalMessages } from '../../producer/refusal.js';

/*
 * What goes over the wire. Nothing here says anything of the rest of the program in its types: apps that use the client get
 * them, too.
 */

const failureCodes = Object.keys(failureMessages) as (keyof typeof failureMessages)[];

/** Times on the wire: UTC with milliseconds. */
export const timeSchema = z.iso.datetime({ precision: 3 });

const sixDigits = /^[0-9]{6}$/;

/** A code. Another shape spends no attempt. */
export const codeSchema = z
  .string()
  .regex(sixDigits, 'must be six digits, as a string')
  .describe('What the person typed.');

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
  sendDeadline: timeSchema.describe('When it is dropped unless it was sent.'),
  sentAt: timeSchema.nullable(),
  expiresAt: timeSchema.nullable().describe('Until when the code can be verified; known once it is sent.'),
  attemptsRemaining: z.int(),
  uuid: z.string().nullable().describe("iSMS's id."),
  smsId: z.string().nullable().describe("iSMS's other id."),
  credits: z.number().describe('What one send of it costs.'),
  failure: z
    .object({ code: z.enum(failureCodes), message: z.string() })
    .nullable()
    .describe('Why it did not go well.'),
});

/** What a verification answers. */
export const verifiedSchema = z.object({
  id: z.string(),
  status: z.literal('verified'),
  verifiedAt: timeSchema,
});

/** Body of a verification by number. */
export const verifyByNumberSchema = z.strictObject({
  to: z.string().describe('The number it was sent to, written as you like.'),
  code: codeSchema,
  purpose: purposeSchema.optional(),
});

/** OTPs that were uploaded together, counted. */
export const batchSchema = z.object({
  id: z.string(),
  createdAt: timeSchema,
  lines: z
    .int()
    .describe(
      'Lines of the upload up to the last one that was accepted or, under an idempotency key, could be read.',
    ),
  cancelled: z
    .boolean()
    .describe('False, too, where `DELETE` could not reach all of it: then it has to be asked again.'),
  counts: z
    .object(Object.fromEntries(statuses.map((status) => [status, z.int()])) as Record<Status, z.ZodInt>)
    .describe('Accepted OTPs by status; what ends by time alone is counted within seconds.'),
});

/** An OTP and the line of the upload that asked for it. */
export const batchOtpSchema = z.object({ index: z.int(), ...otpSchema.shape });
export type BatchOtp = z.output<typeof batchOtpSchema>;

/** What became of one line of an upload. */
export const lineResultSchema = z.union([
  z.object({ index: z.int(), id: z.string() }),
  z.object({
    index: z.int(),
    code: z.enum(Object.keys(refusalMessages) as RefusalCode[]),
    message: z.string(),
  }),
]);

/** What became of an upload. */
export const bulkResultSchema = z.object({
  batchId: z.string(),
  accepted: z.int(),
  rejected: z.int(),
  results: z.array(lineResultSchema).describe('In the order of the OTPs; `index` counts from 0.'),
});

/** A line of the answer to an upload that came line by line. */
export const bulkLineSchema = z.union([
  ...lineResultSchema.options,
  z.object({ summary: bulkResultSchema.omit({ results: true }) }),
]);

const dateSchema = z.iso.date();

/** The account's balance, and what it means. */
export const balanceSchema = z.object({
  credits: z.number(),
  expiresOn: dateSchema.nullable().describe('Last day the credits are good for.'),
  checkedAt: timeSchema,
  low: z.boolean(),
  expiring: z.boolean(),
  creditsPerDay: z.number().nullable().describe(`Over the last ${consumptionDays} days.`),
  runsOutOn: dateSchema.nullable().describe('At that rate.'),
});

/** A page of past balances. */
export const historySchema = z.object({
  snapshots: z.array(z.object({ at: timeSchema, credits: z.number(), expiresOn: dateSchema.nullable() })),
  next: timeSchema.nullable().describe('`until` of the next page; null on the last one.'),
});
