import type { z } from 'zod';
import { parseWithErrors } from '../lib/input-errors.js';
import { memoize } from '../lib/memoize.js';
import { type App, defaultTemplate, testCodeOf, textOf } from '../otp/app.js';
import { countedAddress } from '../otp/client-address.js';
import { brokenContentRules, type ContentRule, contentRuleMessages } from '../otp/content-rules.js';
import { type Message, parseMessage } from '../otp/message.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { type Refusal, refuse } from '../otp/refusal.js';
import { otpRequestSchema } from './otp-request-schema.js';
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
  const messageOf = memoize((text) => judgeMessage(text));
  const complete = (app: string, input: Input) => completed(app, input, { settings, messageOf });
  return {
    /** Checks the shape first. */
    read: (app: string, input: unknown): Read => {
      const parsed = parseWithErrors(schema, input);
      if ('errors' in parsed) return { refusal: refuse('invalid_request', parsed) };
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
  return { message, broken: memoize((country) => brokenContentRules(text, country)) };
}

/** Completes a checked input with the defaults, or says what no schema can. */
function completed(
  app: string,
  input: Input,
  { settings, messageOf }: { settings: RequestSettings; messageOf: (text: string) => Judged },
): Read {
  const to = PhoneNumber.parse(input.to, settings.defaultCountry);
  if (!to) return { refusal: refuse('invalid_phone_number') };
  const owner = settings.apps.of(app);
  const countries = owner.countries ?? settings.allowedCountries;
  if (!countries.includes(to.country)) return { refusal: refuse('country_not_allowed') };
  const text = messageText(owner, input, settings);
  if (typeof text !== 'string') return { refusal: text };
  const { message, broken } = messageOf(text);
  if ('problem' in message) {
    return {
      refusal: refuse('invalid_request', { errors: [{ path: 'message', message: message.problem }] }),
    };
  }
  if (settings.contentPolicy === 'enforce' && broken(to.country).length > 0) {
    return { refusal: contentRefusal(broken(to.country)) };
  }
  const request = {
    app,
    to,
    message: message.template,
    unicode: message.unicode,
    credits: testCodeOf(owner, to) === null ? message.credits : 0,
    senderId: input.senderId ?? owner.senderId ?? settings.defaultSenderId,
    reference: input.reference ?? null,
    ttlSeconds: input.ttlSeconds ?? settings.ttlSeconds,
    sendDeadlineSeconds: input.sendDeadlineSeconds ?? settings.sendDeadlineSeconds,
    maxAttempts: input.maxAttempts ?? settings.maxAttempts,
    clientIp: input.clientIp === undefined ? null : countedAddress(input.clientIp),
    purpose: input.purpose ?? null,
    ...limitsFor(owner, to),
  };
  return { request, text: JSON.stringify(input) };
}

/** Whether an OTP may be sent once more by the rules of now: why not, or null. */
export function createPolicyCheck(settings: RequestSettings) {
  return ({ app, to, message }: Pick<Otp, 'app' | 'to' | 'message'>): Refusal | null => {
    const owner = settings.apps.of(app);
    if (!(owner.countries ?? settings.allowedCountries).includes(to.country))
      return refuse('country_not_allowed');
    if (!mayWrite(owner, message)) return freeTextRefusal();
    const broken = settings.contentPolicy === 'enforce' ? brokenContentRules(message, to.country) : [];
    return broken.length > 0 ? contentRefusal(broken) : null;
  };
}

/** An app without free text may still write out what one of its templates says. */
function mayWrite({ freeText, templates }: App, message: string): boolean {
  return freeText || [...templates.values()].some((texts) => [...texts.values()].includes(message));
}

function freeTextRefusal(): Refusal {
  const errors = [{ path: 'message', message: 'cannot be chosen by this app; use `template`' }];
  return refuse('message_not_allowed', { errors });
}

/** Which limits hold for an OTP of this app to this number. */
export function limitsFor(owner: App, to: PhoneNumber): Pick<OtpRequest, 'limits' | 'isTest'> {
  const ownLimits = Object.values(owner.limits).some((limit) => limit !== undefined);
  return { limits: ownLimits ? owner.limits : null, isTest: testCodeOf(owner, to) !== null };
}

/** The message in the request's own words, or of the template that it names; or why there is none. */
function messageText(owner: App, input: Input, settings: RequestSettings): string | Refusal {
  const invalid = (path: string, message: string) =>
    refuse('invalid_request', { errors: [{ path, message }] });
  if (input.message !== undefined) {
    if (input.template !== undefined) return invalid('message', 'cannot be combined with `template`');
    return mayWrite(owner, input.message) ? input.message : freeTextRefusal();
  }
  const template = owner.templates.get(input.template ?? defaultTemplate);
  if (template) return textOf(template, input.locale, owner.defaultLocale);
  if (input.template === undefined) return settings.defaultMessage;
  const names = [...owner.templates.keys()].join(', ');
  return invalid(
    'template',
    names === '' ? 'is unknown; this app has no templates' : `must be one of ${names}`,
  );
}

function contentRefusal(rules: readonly ContentRule[]): Refusal {
  const errors = rules.map((rule) => ({ path: 'message', message: contentRuleMessages[rule] }));
  return refuse('message_not_allowed', { errors });
}
