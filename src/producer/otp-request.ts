import type { z } from 'zod';
import { countedAddress } from '../otp/client-address.js';
import { brokenContentRules, type ContentRule, contentRuleMessages } from '../otp/content-rules.js';
import { type Message, parseMessage } from '../otp/message.js';
import type { OtpRequest } from '../otp/otp.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { remembered } from '../otp/remembered.js';
import { inputErrors } from './input-errors.js';
import { otpRequestSchema } from './otp-request-schema.js';
import { type Refusal, refuse } from './refusal.js';
import type { RequestSettings } from './settings.js';

/**
 * A request that was read, with the text of what was asked for, by which it is known again however its members were
 * ordered; or why it cannot be.
 */
export type Read = { request: OtpRequest; text: string } | { refusal: Refusal };

/** What idempotency keys of single OTPs are counted by, whether they come through the API or in process. */
export const sendEndpoint = 'POST /v1/otps';

type Input = z.output<ReturnType<typeof otpRequestSchema>>;

/** Reads what apps ask for: checks it, and completes it with the defaults. */
export function createRequestReader(settings: RequestSettings) {
  const schema = otpRequestSchema(settings);
  const messageOf = remembered((text) => judgeMessage(text));
  const complete = (app: string, input: Input) => completed(app, input, { settings, messageOf });
  return {
    /** Checks the shape first. */
    read: (app: string, input: unknown): Read => {
      const parsed = schema.safeParse(input);
      if (!parsed.success)
        return { refusal: refuse('invalid_request', { errors: inputErrors(parsed.error) }) };
      return complete(app, parsed.data);
    },
    /** What has the right shape already. */
    complete,
  };
}

interface Judged {
  message: Message | { problem: string };
  /** Countries' content rules that it breaks. */
  broken: (country: string) => ContentRule[];
}

function judgeMessage(text: string): Judged {
  const message = parseMessage(text);
  return { message, broken: remembered((country) => brokenContentRules(text, country)) };
}

/** Completes a checked input with the defaults, or says what no schema can. */
function completed(
  app: string,
  input: Input,
  { settings, messageOf }: { settings: RequestSettings; messageOf: (text: string) => Judged },
): Read {
  const to = PhoneNumber.parse(input.to, settings.defaultCountry);
  if (!to) return { refusal: refuse('invalid_phone_number') };
  if (!settings.allowedCountries.includes(to.country)) return { refusal: refuse('country_not_allowed') };
  const { message, broken } = messageOf(input.message ?? settings.defaultMessage);
  if ('problem' in message) {
    return {
      refusal: refuse('invalid_request', { errors: [{ path: 'message', message: message.problem }] }),
    };
  }
  if (settings.messageRules === 'enforce' && broken(to.country).length > 0) {
    return { refusal: contentRefusal(broken(to.country)) };
  }
  const request = {
    app,
    to,
    message: message.template,
    unicode: message.unicode,
    credits: message.credits,
    senderId: input.senderId ?? settings.defaultSenderId,
    reference: input.reference ?? null,
    ttlSeconds: input.ttlSeconds ?? settings.ttlSeconds,
    sendWithinSeconds: input.sendWithinSeconds ?? settings.sendWithinSeconds,
    maxAttempts: input.maxAttempts ?? settings.maxAttempts,
    clientIp: input.clientIp === undefined ? null : countedAddress(input.clientIp),
  };
  return { request, text: JSON.stringify(input) };
}

function contentRefusal(rules: readonly ContentRule[]): Refusal {
  const errors = rules.map((rule) => ({ path: 'message', message: contentRuleMessages[rule] }));
  return refuse('message_not_allowed', { errors });
}
