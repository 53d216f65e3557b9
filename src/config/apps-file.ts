import { isSupportedCountry } from 'libphonenumber-js/mobile';
import * as z from 'zod';
import { refuseProto } from '../lib/input-errors.js';

const maxLimit = 1_000_000;
/** Of one template. */
const maxVariables = 20;
const daySeconds = 86_400;
const limit = (most: number, meaning: string) =>
  z.int().min(0).max(most).optional().describe(`${meaning} 0 is off.`);

function recordOf<V extends z.ZodType>(names: z.ZodString, value: V) {
  return refuseProto(z.record(names, value));
}

const locale = z
  .string()
  .regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a BCP 47 language tag such as ms or zh-Hans');
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, 'must be 1 to 32 of a-z 0-9 _ - (no _ or - first)');

/** Kind of a limit key. Without digits, so that an error that names it never names a value. */
const kind = z.string().regex(/^[a-z][a-z_-]{0,31}$/, 'must be 1 to 32 of a-z _ - (no _ or - first)');

const limitKeys = recordOf(
  kind,
  z
    .strictObject({
      per10Minutes: limit(maxLimit, 'OTPs for one key of this kind in 10 minutes.'),
      perDay: limit(maxLimit, 'OTPs for one key of this kind in a day.'),
      required: z
        .boolean()
        .optional()
        .describe('Whether a request without a key of this kind is refused. Default: false.'),
    })
    .refine(
      ({ per10Minutes, perDay }) => per10Minutes !== undefined || perDay !== undefined,
      'must have per10Minutes or perDay',
    ),
).describe(
  "Kinds of `limitKeys` that requests may have, such as `user`, with limits for each key: the app's own id of a user or device, for example.",
);

const variable = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('text').describe('Names: letters, digits, spaces and a few signs.'),
      maxLength: z.int().min(1).max(100),
    }),
    z.strictObject({
      type: z.literal('number').describe('Digits, such as the last four of a card.'),
      maxLength: z.int().min(1).max(4),
    }),
    z.strictObject({
      type: z.literal('amount').describe('Money, such as 1,234.50.'),
      maxLength: z.int().min(1).max(12),
    }),
  ])
  .describe('A value that requests bring, at most `maxLength` characters long.');

const variableName = z
  .string()
  .regex(/^[a-z][A-Za-z0-9_]{0,31}$/, 'must be 1 to 32 letters, digits and _, beginning with a small letter');

const variables = refuseProto(
  z
    .record(variableName, variable)
    .refine((all) => Object.keys(all).length <= maxVariables, `must have at most ${maxVariables} members`)
    .meta({ maxProperties: maxVariables })
    .describe('Variables of its texts, by name.'),
);

const template = refuseProto(
  z
    .object({ variables: variables.optional() })
    .catchall(z.string())
    .superRefine((members, context) => {
      for (const key of Object.keys(members)) {
        const error = key === 'variables' ? undefined : locale.safeParse(key).error;
        if (error) context.addIssue({ code: 'custom', path: [key], message: error.issues[0]?.message });
      }
    })
    .meta({ propertyNames: { pattern: '^(?:variables|[a-z]{2,3}(-[A-Za-z0-9]{2,8})*)$' } }),
).transform(({ variables = {}, ...texts }) => ({ variables, texts: texts as Record<string, string> }));

const limits = z
  .strictObject({
    recipientCooldownSeconds: limit(daySeconds, 'Seconds between two OTPs to one number.'),
    recipientPer10Minutes: limit(1_000, 'OTPs to one number in 10 minutes.'),
    recipientPerDay: limit(1_000, 'OTPs to one number in a day.'),
    clientIpPer10Minutes: limit(maxLimit, 'OTPs for one `clientIp` in 10 minutes.'),
    perSecond: limit(maxLimit, 'OTPs accepted in a second.'),
  })
  .describe("In place of the gateway's own limits; those left out stay in force.");

const budget = z
  .strictObject({
    creditsPerDay: limit(1_000_000_000, 'Credits in a day.'),
    creditsPerMonth: limit(1_000_000_000, 'Credits in a calendar month.'),
  })
  .describe('In place of BUDGET_CREDITS_PER_DAY and BUDGET_CREDITS_PER_MONTH; those left out stay in force.');

const webhook = z
  .strictObject({
    url: z
      .string()
      .min(1)
      .describe('URL that receives the events of this app: https, unless privateAddresses is allow.'),
    secrets: z
      .array(z.string())
      .min(1)
      .max(4)
      .describe('`whsec_…`, the current one first; all of them sign.'),
    privateAddresses: z
      .enum(['refuse', 'allow'])
      .optional()
      .describe('Whether the receiver may be in a private network, also over http. Default: refuse.'),
    events: z.array(z.string()).min(1).optional().describe('Events to send, such as otp.sent. Default: all.'),
  })
  .describe('Events of this app go here instead of to WEBHOOK_URL.');

const codeOfCountry = 'must be an ISO 3166-1 code of two capitals, such as GB';

const app = z.strictObject({
  keys: z
    .array(
      z
        .string()
        .regex(
          /^sha256:[0-9a-fA-F]{64}$/,
          'must be sha256: and 64 hex digits, as `isms-otp keys create` prints it',
        ),
    )
    .min(1)
    .max(2)
    .describe('SHA-256 digests of its API keys; two while one is exchanged.'),
  brand: z
    .string()
    .regex(
      /^(?! )[^\p{C}\p{Zl}\p{Zp}{}%]{1,30}(?<! )$/u,
      'must be 1 to 30 visible characters, none of them { } or %',
    )
    .optional()
    .describe('Name that every message to Malaysia must hold, and that stands in place of {brand}.'),
  templates: recordOf(name, template)
    .optional()
    .describe(
      'Messages by name and language, with {brand}, {minutes} and variables of their own. A request that names none gets the one called `default`.',
    ),
  defaultLocale: locale
    .optional()
    .describe('Language where a request names none that a template has. Default: en.'),
  freeText: z
    .boolean()
    .optional()
    .describe('Whether requests may bring a message of their own. Default: true.'),
  senderId: z.string().optional().describe('Sender ID when a request names none.'),
  countries: z
    .array(
      z
        .string()
        .regex(/^[A-Z]{2}$/, codeOfCountry)
        .refine(isSupportedCountry, codeOfCountry),
    )
    .min(1)
    .optional()
    .describe('Where SMS of this app may go. Default: ALLOWED_COUNTRIES.'),
  limits: limits.optional(),
  limitKeys: limitKeys.optional(),
  budget: budget.optional(),
  sendsPerSecond: limit(
    maxLimit,
    'Send calls to iSMS in a second, all workers together, in place of LIMIT_APP_SENDS_PER_SECOND.',
  ),
  webhook: webhook.optional(),
  testNumbers: recordOf(z.string(), z.string().regex(/^[0-9]{6}$/, 'must be six digits'))
    .optional()
    .describe(
      'Numbers (E.164) that nothing is ever sent to, and the code that is right for each: for tests and app reviews.',
    ),
});

/** What `APPS_FILE` holds. Its JSON Schema is docs/apps.schema.json. */
export const appsFileSchema = z.strictObject({
  $schema: z.string().optional(),
  apps: recordOf(name, app).describe('Apps by name: 1 to 32 of a-z 0-9 _ -.'),
});

type AppsFile = z.output<typeof appsFileSchema>;
export type AppEntry = AppsFile['apps'][string];

/** The valid members of each app in an invalid file, so that further checks can list more errors at once. */
export function validMembers(json: unknown): AppsFile['apps'] {
  const members = Object.entries(app.shape).map(([key, schema]) => [
    key,
    z.catch(schema as z.ZodType, key === 'keys' ? [] : undefined),
  ]);
  const lenient = z.object({ apps: z.record(z.string(), z.object(Object.fromEntries(members))) });
  return (lenient.safeParse(json).data?.apps ?? {}) as AppsFile['apps'];
}

/** The JSON Schema (2020-12) that editors check the file with. */
export function appsJsonSchema(): object {
  return { title: 'Apps of an isms-otp-gateway', ...z.toJSONSchema(appsFileSchema, { io: 'input' }) };
}

const token =
  /[\t\n\r ]*(?:(?<mark>[[\]{},:])|(?<string>"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-]))/y;

/**
 * Finds the first syntax error of a JSON text: line and column from 1, or null. Quotes nothing, unlike the error of
 * `JSON.parse`, which may show a secret.
 */
export function jsonSyntaxError(text: string): { line: number; column: number } | null {
  /** Closing brackets of what is open, the innermost last. */
  const open: string[] = [];
  const value = '{[v';
  /** What may follow, a character each: a mark, k(ey), or v(alue): a string, number, true, false or null. */
  let expected = value;
  for (let at = 0; ; at = token.lastIndex) {
    token.lastIndex = at;
    const groups = token.exec(text)?.groups;
    if (!groups && expected === '' && /^[\t\n\r ]*$/.test(text.slice(at))) return null;
    const isKey = groups?.['string'] !== undefined && expected.includes('k');
    const found = groups?.['mark'] ?? (isKey ? 'k' : 'v');
    if (!groups || !expected.includes(found)) return positionOf(text, at);
    if (found === '{' || found === '[') open.push(found === '{' ? '}' : ']');
    if (found === '}' || found === ']') open.pop();
    const inside = open.at(-1);
    const after: Record<string, string> = {
      '{': 'k}',
      '[': `${value}]`,
      ',': inside === '}' ? 'k' : value,
      k: ':',
      ':': value,
    };
    expected = after[found] ?? (inside ? `,${inside}` : '');
  }
}

/** The position of the first character that is no white space. */
function positionOf(text: string, from: number): { line: number; column: number } {
  const before = text.slice(0, from) + (/^[\t\n\r ]*/.exec(text.slice(from))?.[0] ?? '');
  const lines = before.split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}
