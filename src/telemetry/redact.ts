import { memoize } from '../lib/memoize.js';

/** Stands for a value that must not be logged. */
const masked = '[masked]';

const names =
  'pass|password|passwd|pwd|secret|token|key|api_?key|authorization|code|otp|mobile|phone|to|message|msg';

const rules: [RegExp, string][] = [
  [new RegExp(`\\b(${names})=[^&\\s"'#]*`, 'gi'), `$1=${masked}`],
  [
    new RegExp(`(\\\\*")(${names})\\1\\s*:\\s*(?:\\1.*?(?:(?<!\\\\)\\1|$)|[\\w.+-]+)`, 'gis'),
    `$1$2$1:$1${masked}$1`,
  ],
  [new RegExp(`\\b(${names}): '[^']*'`, 'gi'), `$1: '${masked}'`],
  [/\b(Bearer|Basic) +[\w.~+/=-]+/gi, `$1 ${masked}`],
  [/\/\/[^/\s@"']+@/g, `//${masked}@`],
];

const template = /%(25)?OTP%/i;
/** A UUID, which may hold a run of digits; a number with a leading plus; nine digits or more. */
const digits = /[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}|\+\d[\d ().-]{5,}\d|\d{9,}/gi;
const uuid = /^[\da-f]{8}-/i;

/** Characters that every rule above needs: most texts have none and are done sooner. */
const suspicious = /[="'%]|\/\/|\+\d|\d{9}|bearer|basic/i;

/** Masks phone numbers, secrets, codes, credentials of URLs and headers, and message templates in free text. */
export function maskText(text: string): string {
  if (!suspicious.test(text)) return text;
  const named = rules.reduce(
    (masking, [pattern, replacement]) => masking.replace(pattern, replacement),
    text,
  );
  if (template.test(named)) return masked;
  return named.replace(digits, (run) => (uuid.test(run) ? run : masked));
}

/** Members whose values are never logged, in lower case and letters only. */
const secretKeys = new Set([
  ...['pass', 'password', 'passwd', 'pwd', 'secret', 'token', 'authorization', 'cookie', 'setcookie'],
  ...['key', 'keys', 'apikey', 'apikeys', 'encryptionkey', 'encryptionkeys', 'idempotencykey'],
  ...['otp', 'to', 'mobile', 'phone', 'phonenumber', 'msisdn', 'message', 'template', 'text'],
  ...['args', 'previouserrors', 'cause', 'body', 'headers', 'query'],
]);

/** Phone numbers and secrets that masked themselves. */
const selfMasked = /^(\+\d{1,3}\*+\d{3}|\[\w+\])$/;
/** Members with trace ids, in lower case and letters only. */
const traceKeys = new Set(['traceid', 'spanid', 'parentspanid']);
/** A W3C Trace Context id; one of digits alone may hold a phone number. */
const traceId = /^(?!\d+$)(?:[\da-f]{16}|[\da-f]{32})$/;
const codeLike = /\d{4}/;

/** A copy of a log line's fields, masked at any depth. */
export function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) kept[maskText(key)] = redactValue(key, value);
  }
  return kept;
}

/** A cyclic value, or one without end, is masked as a whole: to log must never throw. */
function redactValue(key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return redactMember(key, value, false);
  try {
    return redactMember(key, JSON.parse(JSON.stringify(serializeError(value))), false);
  } catch {
    return masked;
  }
}

function redact(value: unknown): unknown {
  if (typeof value === 'string') return maskText(value);
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  if (Reflect.get(value, 'type') === 'Buffer') return masked;
  const isError = 'stack' in value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [maskText(key), redactMember(key, member, isError)]),
  );
}

const nameOf = memoize((key) => key.toLowerCase().replace(/[^a-z]/g, ''));

function redactMember(key: string, value: unknown, isError: boolean): unknown {
  const name = nameOf(key);
  if (name === 'smsid' || (traceKeys.has(name) && traceId.test(String(value)))) return value;
  if (name === 'code' && codeLike.test(String(value))) return masked;
  if (!secretKeys.has(name) || (isError && name === 'message')) return redact(value);
  const harmless = value === null || typeof value === 'boolean' || selfMasked.test(String(value));
  return harmless ? value : masked;
}

/** The parts of an error that may be logged: no causes, commands, requests or replies. Returns other values unchanged. */
export function serializeError(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name: type, message, stack } = value;
  const code = 'code' in value && typeof value.code === 'string' ? value.code : undefined;
  return { type, message, ...(code !== undefined && { code }), ...(stack && { stack }) };
}
