import { z } from 'zod';
import { parseMessage, senderIdShape } from '../otp/message.js';

const visible = /^[^\p{Cc}\p{Cs}]{1,200}$/u;
const daySeconds = 86_400;

/** Text of 1 to 200 characters by which an app names its own things. */
export const referenceSchema = z
  .string()
  .regex(visible, 'must be 1 to 200 characters, none of them a control character')
  .describe('Your own id, 1 to 200 characters: finds the OTP again.');

/** The address of whoever asks for an OTP. */
export const clientIpSchema = z
  .union([z.ipv4(), z.ipv6()], { error: 'must be an IPv4 or IPv6 address' })
  .describe('Address of the person asking: OTPs are limited by it.');

/** What an OTP is for. */
export const purposeSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, 'must be 1 to 32 of a-z 0-9 _ - (no _ or - first)')
  .describe(
    'What it is for, such as `login`: the newest of a number and purpose can be verified without its id.',
  );

/** What a request is known again by. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters, no spaces');

/** What of the settings shows in the documentation of a request, or bounds it. */
export interface RequestDefaults {
  defaultMessage: string;
  defaultCountry: string;
  ttlSeconds: number;
  maxAttempts: number;
  sendDeadlineSeconds: number;
}

/** What an app asks for. What depends on the settings is checked against them. */
export function otpRequestSchema({
  maxAttempts,
  ttlSeconds,
  sendDeadlineSeconds,
  ...settings
}: RequestDefaults) {
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
    template: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, 'must be the name of a template')
      .optional()
      .describe('Name of a message that the operator wrote for the app, in place of `message`.'),
    locale: z
      .string()
      .max(35)
      .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag such as ms or zh-Hans')
      .optional()
      .describe('Language of the template (BCP 47), as near as it has one.'),
    purpose: purposeSchema.optional(),
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
    sendDeadlineSeconds: z
      .int()
      .min(1)
      .max(daySeconds)
      .optional()
      .describe(`Not sent by then, it is dropped instead of sent late. Default: ${sendDeadlineSeconds}`),
    maxAttempts: z
      .int()
      .min(1)
      .max(maxAttempts)
      .optional()
      .describe(`Attempts to verify it; fewer than the default, not more. Default: ${maxAttempts}`),
    reference: referenceSchema.optional(),
    clientIp: clientIpSchema.optional(),
  });
}

/** What an app asks for, as it writes it. */
export type OtpInput = z.input<ReturnType<typeof otpRequestSchema>>;
