import { z } from 'zod';
import { failureMessages } from '../otp/failure.js';
import type { Otp } from '../otp/otp.js';
import { statuses } from '../otp/states.js';

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
  sendBefore: timeSchema.describe('When it is dropped unless it was sent.'),
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

/** What an app reads about its OTP. */
export function otpView(otp: Otp): z.output<typeof otpSchema> {
  const time = (ms: number | null) => (ms === null ? null : isoTime(ms));
  return {
    id: otp.id,
    status: otp.status,
    to: otp.to.e164,
    reference: otp.reference,
    purpose: otp.purpose,
    createdAt: isoTime(otp.createdAt),
    sendBefore: isoTime(otp.sendBefore),
    sentAt: time(otp.sentAt),
    expiresAt: time(otp.expiresAt),
    attemptsRemaining: otp.attemptsRemaining,
    uuid: otp.uuid,
    smsId: otp.smsId,
    credits: otp.credits,
    failure: otp.failure && { code: otp.failure, message: failureMessages[otp.failure] },
  };
}

/** Milliseconds since 1970 as text: UTC with milliseconds. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
