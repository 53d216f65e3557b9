import type { z } from 'zod';
import { brokenContentRules, contentRuleMessages } from '../otp/content-rules.js';
import { parseMessage } from '../otp/message.js';
import type { OtpRequest } from '../otp/otp.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { countedAddress } from './client-address.js';
import { invalidInput } from './input.js';
import type { otpRequestSchema } from './otp-schemas.js';
import { ApiProblem } from './problem.js';
import type { ApiSettings } from './settings.js';

type Body = z.output<ReturnType<typeof otpRequestSchema>>;

/** Completes a checked body with the defaults; throws the problems that no schema can express. */
export function otpRequest(app: string, body: Body, settings: ApiSettings): OtpRequest {
  const to = PhoneNumber.parse(body.to, settings.defaultCountry);
  if (!to) throw new ApiProblem('invalid_phone_number');
  if (!settings.allowedCountries.includes(to.country)) throw new ApiProblem('country_not_allowed');
  const message = parseMessage(body.message ?? settings.defaultMessage);
  if ('problem' in message) throw invalidInput('message', message.problem);
  if (settings.messageRules === 'enforce') requireAllowed(message.template, to.country);
  return {
    app,
    to,
    message: message.template,
    unicode: message.unicode,
    credits: message.credits,
    senderId: body.senderId ?? settings.defaultSenderId,
    reference: body.reference ?? null,
    ttlSeconds: body.ttlSeconds ?? settings.ttlSeconds,
    sendWithinSeconds: body.sendWithinSeconds ?? settings.sendWithinSeconds,
    maxAttempts: body.maxAttempts ?? settings.maxAttempts,
    clientIp: body.clientIp === undefined ? null : countedAddress(body.clientIp),
  };
}

function requireAllowed(template: string, country: string): void {
  const errors = brokenContentRules(template, country).map((rule) => ({
    path: 'message',
    message: contentRuleMessages[rule],
  }));
  if (errors.length > 0) throw new ApiProblem('message_not_allowed', { errors });
}
