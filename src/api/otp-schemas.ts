import { z } from 'zod';
import { failureMessages } from '../otp/failure.js';
import { parseMessage, senderIdShape } from '../otp/message.js';
import type { Otp } from '../otp/otp.js';
import { statuses } from '../otp/states.js';
import type { ApiSettings } from './settings.js';

const failureCodes = Object.keys(failureMessages) as (keyof typeof failureMessages)[];

/** Times on the wire: UTC with milliseconds. */
export const timeSchema = z.iso.datetime({ precision: 3 });

const sixDigits = /^[0-9]{6}$/;
const visible = /^[^\p{Cc}\p{Cs}]{1,200}$/u;
const daySeconds = 86_400;

/** Text of 1 to 200 characters by which an app names its own things. */
export const referenceSchema = z
  .string()
  .regex(visible, 'must be 1 to 200 characters, none of them a control character')
  .describe('Your own id, 1 to 200 characters: finds the OTP again.');

/** `Idempotency-Key`, the same for every endpoint that takes it. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters, no spaces');

/** Body of a request for an OTP. What depends on the settings is checked against them. */
export function otpRequestSchema({ maxAttempts, ttlSeconds, sendWithinSeconds, ...settings }: ApiSettings) {
  const message = z.string().superRefine((template, context) => {
    const parsed = parseMessage(template);
    if ('problem' in parsed) context.addIssue(parsed.problem);
  });
  return z.strictObject({
    to: z
      .string()
      .describe(`Mobile number, international or national in ${settings.defaultCountry}.`)
      .meta({ examples: ['+60123456789', '012-345 6789'] }),
    message: message
      .optional()
      .describe(
        `Holds \`%OTP%\` exactly once; iSMS puts the code there. Default: ${settings.defaultMessage}`,
      ),
    senderId: z
      .string()
      .regex(senderIdShape, 'must be 1 to 11 letters and digits')
      .optional()
      .describe('Letters and digits, at most 11. Malaysian handsets do not show it.'),
    ttlSeconds: z
      .int()
      .min(30)
      .max(600)
      .optional()
      .describe(`How long the code can be verified, from its send call. Default: ${ttlSeconds}`),
    sendWithinSeconds: z
      .int()
      .min(1)
      .max(daySeconds)
      .optional()
      .describe(`Not sent by then, it is dropped instead of sent late. Default: ${sendWithinSeconds}`),
    maxAttempts: z
      .int()
      .min(1)
      .max(maxAttempts)
      .optional()
      .describe(`Attempts to verify it; fewer than the default, not more. Default: ${maxAttempts}`),
    reference: referenceSchema.optional(),
    clientIp: z
      .union([z.ipv4(), z.ipv6()], { error: 'must be an IPv4 or IPv6 address' })
      .optional()
      .describe('Address of the person asking: OTPs are limited by it.'),
  });
}

/** Body of a verification. Another shape spends no attempt. */
export const verifyRequestSchema = z.strictObject({
  code: z.string().regex(sixDigits, 'must be six digits, as a string').describe('What the person typed.'),
});

/** An OTP as its own app sees it. */
export const otpSchema = z.object({
  id: z.string(),
  status: z.enum(statuses),
  to: z.string().describe('The whole number, E.164.'),
  reference: z.string().nullable(),
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
