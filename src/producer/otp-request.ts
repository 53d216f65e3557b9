import { z } from 'zod';
import { parseWithErrors, refuseProto } from '../lib/input-errors.js';
import { type App, type Apps, defaultTemplate, testCodeOf } from '../otp/app.js';
import { hashBinding } from '../otp/binding.js';
import { countedAddress } from '../otp/client-address.js';
import { parseMessage, senderIdShape } from '../otp/message.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { type Refusal, refuse } from '../otp/refusal.js';
import { checkEarlierMessage, createMessageReader, type MessageSettings } from './request-message.js';

/** Defaults and limits for OTP requests. */
export interface RequestSettings extends MessageSettings {
  apps: Apps;
  defaultSenderId: string | null;
  /** ISO 3166-1 alpha-2: the country of numbers in national notation. */
  defaultCountry: string;
  /** ISO 3166-1 alpha-2. */
  allowedCountries: readonly string[];
  /** Default and maximum. */
  maxAttempts: number;
  sendDeadlineSeconds: number;
  bulkSendDeadlineSeconds: number;
  /** False: the fraud guard only monitors. */
  fraudGuardEnforces: boolean;
}

const daySeconds = 86_400;

/**
 * Schema of text of 1 to `most` characters without control characters and lone surrogates. Its pattern means the same
 * with and without the flag `u`: tools read it from the OpenAPI document either way.
 */
export function visibleTextSchema(most: number) {
  const character = String.raw`[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]|[\ud800-\udbff][\udc00-\udfff]`;
  const problem = `must be 1 to ${most} characters, none of them a control character`;
  return z.string().regex(new RegExp(`^(?:${character}){1,${most}}$`), problem);
}

export const referenceSchema = visibleTextSchema(200).describe(
  'Your own id, 1 to 200 characters: finds the OTP again.',
);

export const clientIpSchema = z
  .union([z.ipv4(), z.ipv6()], { error: 'must be an IPv4 or IPv6 address' })
  .describe('IP address of the end user, for the limit per client address.');

/** Most limit keys of one OTP: each is counted in two windows. */
const maxLimitKeys = 3;

const limitKeysSchema = refuseProto(
  z
    .record(z.string().regex(/^[a-z][a-z_-]{0,31}$/, 'must be the name of a kind'), visibleTextSchema(200))
    .refine((keys) => Object.keys(keys).length <= maxLimitKeys, `must have at most ${maxLimitKeys} members`)
    .meta({ maxProperties: maxLimitKeys, examples: [{ user: 'u-4711' }] })
    .describe(
      'Your own ids to limit OTPs by, such as the user or the device: for each, one of the kinds that the operator defined ' +
        'for the app, and the id, 1 to 200 characters, compared exactly.',
    ),
);

export const bindingSchema = visibleTextSchema(200).describe(
  'What the code approves, such as a payment by its id, amount and account: 1 to 200 characters. A verification must name exactly the same.',
);

export const purposeSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, 'must be 1 to 32 of a-z 0-9 _ - (no _ or - first)')
  .describe(
    'Purpose of the OTP, such as `login`: `POST /v1/verify` finds the newest OTP by number and purpose.',
  );

/** Most that APPS_FILE allows in a template. */
const maxVariables = 20;

const variablesSchema = refuseProto(
  z
    .record(
      z.string().regex(/^[a-z][A-Za-z0-9_]{0,31}$/, 'must be the name of a variable of the template'),
      z.string(),
    )
    .refine(
      (values) => Object.keys(values).length <= maxVariables,
      `must have at most ${maxVariables} members`,
    )
    .meta({ maxProperties: maxVariables, examples: [{ payee: 'Kedai Ali', amount: '1,234.50' }] })
    .describe('A value for each variable of the template.'),
);

export const dateTimeSchema = z.iso.datetime({
  offset: true,
  error: 'must be an RFC 3339 date and time with Z or an offset',
});

export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters, no spaces');

/** Schema of a request; settings bound it and show in its documentation. */
export function otpRequestSchema({
  maxAttempts,
  ttlSeconds,
  sendDeadlineSeconds,
  ...settings
}: Pick<
  RequestSettings,
  'defaultMessage' | 'defaultCountry' | 'ttlSeconds' | 'maxAttempts' | 'sendDeadlineSeconds'
>) {
  const message = z.string().superRefine((template, context) => {
    const parsed = parseMessage(template);
    if ('problem' in parsed) context.addIssue(parsed.problem);
  });
  return z
    .strictObject({
      to: z
        .string()
        .describe(`Mobile number, international or national in ${settings.defaultCountry}.`)
        .meta({ examples: ['+60123456789', '012-345 6789'] }),
      message: message
        .optional()
        .describe(
          `Holds \`%OTP%\` exactly once; iSMS puts the code there. Default, with the brand of the app if it has one: ${settings.defaultMessage}`,
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
      variables: variablesSchema.optional(),
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
        .describe(`Seconds for which the code can be verified, from its send call. Default: ${ttlSeconds}`),
      sendDeadlineSeconds: z
        .int()
        .min(1)
        .max(daySeconds)
        .optional()
        .describe(`Seconds after which an unsent OTP expires. Default: ${sendDeadlineSeconds}`),
      maxAttempts: z
        .int()
        .min(1)
        .max(maxAttempts)
        .optional()
        .describe(`Attempts to verify it; fewer than the default, not more. Default: ${maxAttempts}`),
      reference: referenceSchema.optional(),
      clientIp: clientIpSchema.optional(),
      limitKeys: limitKeysSchema.optional(),
      binding: bindingSchema.optional(),
    })
    .describe('An OTP to send. Members that are left out have the defaults of the gateway.');
}

/** A request as an app writes it. */
export type OtpInput = z.input<ReturnType<typeof otpRequestSchema>>;

/** A valid request, with its text in canonical member order for idempotency; or why it is refused. */
export type Read = { request: OtpRequest; text: string } | { refusal: Refusal };

/** Scope of idempotency keys of single OTPs, shared by the API and apps' own processes. */
export const sendEndpoint = 'POST /v1/otps';

type Input = z.output<ReturnType<typeof otpRequestSchema>>;

/** Validates requests and completes them with defaults. */
export function createRequestReader(settings: RequestSettings) {
  const schema = otpRequestSchema(settings);
  const messageOf = createMessageReader(settings);
  const complete = (app: string, input: Input) => completed(app, input, { settings, messageOf });
  return {
    /** Validates against the schema first. */
    read: (app: string, input: unknown): Read => {
      const parsed = parseWithErrors(schema, input);
      if ('errors' in parsed) return { refusal: refuse('invalid_request', parsed) };
      return complete(app, parsed.data);
    },
    /** For input that the schema has validated. */
    complete,
  };
}

/** Checks what no schema can, and completes the input with defaults. */
function completed(
  app: string,
  input: Input,
  { settings, messageOf }: { settings: RequestSettings; messageOf: ReturnType<typeof createMessageReader> },
): Read {
  const to = PhoneNumber.parse(input.to, settings.defaultCountry);
  if (!to) return { refusal: refuse('invalid_phone_number') };
  const owner = settings.apps.of(app);
  const countries = owner.countries ?? settings.allowedCountries;
  if (!countries.includes(to.country)) return { refusal: refuse('country_not_allowed') };
  const wrongKinds = kindsRefusal(owner, input);
  if (wrongKinds) return { refusal: wrongKinds };
  const message = messageOf(owner, to, input);
  if ('code' in message) return { refusal: message };
  const { limits, keyLimits, isTest } = limitsFor(owner, to);
  const request = {
    app,
    to,
    message: message.message,
    unicode: message.unicode,
    credits: isTest ? 0 : message.credits,
    senderId: input.senderId ?? owner.senderId ?? settings.defaultSenderId,
    reference: input.reference ?? null,
    ttlSeconds: input.ttlSeconds ?? settings.ttlSeconds,
    sendDeadlineSeconds: input.sendDeadlineSeconds ?? settings.sendDeadlineSeconds,
    maxAttempts: input.maxAttempts ?? settings.maxAttempts,
    clientIp: input.clientIp === undefined ? null : countedAddress(input.clientIp),
    limitKeys: input.limitKeys ?? null,
    binding: input.binding === undefined ? null : hashBinding(input.binding),
    purpose: input.purpose ?? null,
    template: templateName(owner, input),
    limits,
    keyLimits,
    isTest,
  };
  return { request, text: JSON.stringify(canonical(input)) };
}

/** With the members of its records in the order of their names: the schema orders only the other members. */
function canonical(input: Input): Input {
  const { variables, limitKeys } = input;
  if (!variables && !limitKeys) return input;
  return {
    ...input,
    ...(variables && { variables: byName(variables) }),
    ...(limitKeys && { limitKeys: byName(limitKeys) }),
  };
}

function byName(record: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Refuses a kind without limits, as a misspelt one would disable the limit, and a request without a required one. */
function kindsRefusal({ limitKeys }: App, input: Input): Refusal | null {
  if (limitKeys.size === 0 && !input.limitKeys) return null;
  const given = Object.keys(input.limitKeys ?? {});
  const unknown = given.filter((kind) => !limitKeys.has(kind));
  const missing = [...limitKeys].flatMap(([kind, { required }]) =>
    required && !given.includes(kind) ? [kind] : [],
  );
  if (unknown.length + missing.length === 0) return null;
  const known = [...limitKeys.keys()].join(', ');
  const message =
    known === ''
      ? 'is unknown: this app has no limit keys; the operator defines them in APPS_FILE'
      : `is unknown: the operator defined ${known} in APPS_FILE`;
  return refuse('invalid_request', {
    errors: [
      ...unknown.map((kind) => ({ path: `limitKeys.${kind}`, message })),
      ...missing.map((kind) => ({
        path: `limitKeys.${kind}`,
        message: 'is missing: the operator requires it in APPS_FILE',
      })),
    ],
  });
}

/** Checks an earlier OTP against the current rules before a resend; null if it may be sent. */
export function createPolicyCheck(settings: RequestSettings) {
  return ({ app, to, message }: Pick<Otp, 'app' | 'to' | 'message'>): Refusal | null => {
    const owner = settings.apps.of(app);
    if (!(owner.countries ?? settings.allowedCountries).includes(to.country))
      return refuse('country_not_allowed');
    return checkEarlierMessage(owner, { to, message }, settings);
  };
}

/** The limits of an OTP of this app to this number. */
export function limitsFor(owner: App, to: PhoneNumber): Pick<OtpRequest, 'limits' | 'keyLimits' | 'isTest'> {
  return { limits: owner.limits, keyLimits: owner.limitKeys, isTest: testCodeOf(owner, to) !== null };
}

/** The template that the message is from; null for a message of its own, or the gateway's default. */
function templateName({ templates }: App, { message, template }: Input): string | null {
  if (template !== undefined) return template;
  return message === undefined && templates.has(defaultTemplate) ? defaultTemplate : null;
}
