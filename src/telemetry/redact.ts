import { masked, maskText } from './mask.js';

/** Members whose values are never logged, in lower case and letters only. */
const secretKeys = new Set([
  ...['pass', 'password', 'passwd', 'pwd', 'secret', 'token', 'authorization', 'cookie', 'setcookie'],
  ...['key', 'keys', 'apikey', 'apikeys', 'datakey', 'datakeys', 'idempotencykey'],
  ...['otp', 'to', 'mobile', 'phone', 'phonenumber', 'msisdn', 'message', 'template', 'text'],
  ...['args', 'previouserrors', 'cause', 'body', 'headers', 'query'],
]);

/** What a phone number and a secret show of themselves. */
const selfMasked = /^(\+\d{1,3}\*+\d{3}|\[\w+\])$/;
/** Members that join a line to its trace, in lower case and letters only. */
const traceKeys = new Set(['traceid', 'spanid', 'parentspanid']);
/** An id as W3C Trace Context has it; one of digits alone may hold a phone number. */
const traceId = /^(?!\d+$)(?:[\da-f]{16}|[\da-f]{32})$/;
const codeLike = /\d{4}/;

/** A copy of a log line's content without anything that must not be logged, whatever its depth. */
export function redact(value: unknown): unknown {
  if (typeof value === 'string') return maskText(value);
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  if (Reflect.get(value, 'type') === 'Buffer') return masked;
  const isError = 'stack' in value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [maskText(key), redactMember(key, member, isError)]),
  );
}

function redactMember(key: string, value: unknown, isError: boolean): unknown {
  const name = key.toLowerCase().replace(/[^a-z]/g, '');
  if (name === 'smsid' || (traceKeys.has(name) && traceId.test(String(value)))) return value;
  if (name === 'code' && codeLike.test(String(value))) return masked;
  if (!secretKeys.has(name) || (isError && name === 'message')) return redact(value);
  const harmless = value === null || typeof value === 'boolean' || selfMasked.test(String(value));
  return harmless ? value : masked;
}
