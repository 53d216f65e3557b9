import { z } from 'zod';
import { parseMessage, senderIdShape } from '../otp/message.js';
import type { RequestSettings } from './settings.js';

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

/** What an app asks for. What depends on the settings is checked against them. */
export function otpRequestSchema({
  maxAttempts,
  ttlSeconds,
  sendWithinSeconds,
  ...settings
}: RequestSettings) {
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

/** What an app asks for, as it writes it. */
export type OtpInput = z.input<ReturnType<typeof otpRequestSchema>>;
