import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { errorText, type InputError, parseWithErrors } from '../../lib/input-errors.js';
import { dateTimeSchema, idempotencyKeySchema } from '../../producer/otp-request.js';
import { ApiProblem } from './problem.js';

/** Parses input by a schema; throws `invalid_request` with all errors. */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = parseWithErrors(schema, input);
  if ('data' in parsed) return parsed.data;
  throw invalidRequest(...parsed.errors);
}

/** A moment in a query string; its ms since 1970. */
export const instantParam = dateTimeSchema
  .transform((text) => Date.parse(text))
  .meta({ type: 'string', format: 'date-time' });

/** The length of a page in a query string. */
export function limitParam(most: number, byDefault: number) {
  const error = `must be a whole number from 1 to ${most.toLocaleString('en')}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, error)
    .transform(Number)
    .pipe(z.int().min(1, error).max(most, error))
    .default(byDefault);
}

/** The problem of errors in the input. */
export function invalidRequest(...errors: InputError[]): ApiProblem {
  return new ApiProblem('invalid_request', { detail: errorText(errors), errors });
}

/** A header; empty where it is missing. Of those that come twice, Node keeps the first or joins them, by their name. */
export function headerOf({ headers }: IncomingMessage, name: string): string {
  return String(headers[name.toLowerCase()] ?? '');
}

const hostShape = /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d+)?$/i;

/** The URL by which the client reached this server, without a path. */
export function originOf(req: IncomingMessage, isTrusted: (address: string) => boolean): string {
  const [forwarded = ''] = headerOf(req, 'X-Forwarded-Proto').split(',');
  const isForwarded = forwarded.trim().toLowerCase() === 'https' && isTrusted(req.socket.remoteAddress ?? '');
  const host = headerOf(req, 'Host');
  return `${isForwarded ? 'https' : 'http'}://${hostShape.test(host) ? host : 'localhost'}`;
}

/** Parses the headers that a schema names. */
export function parseHeaders<S extends z.ZodObject>(schema: S, { headers }: IncomingMessage): z.output<S> {
  const names = Object.keys(schema.shape);
  const values = names.map((name) => [name, headers[name.toLowerCase()]] as const);
  return parseInput(schema, Object.fromEntries(values.filter(([, value]) => value !== undefined)));
}

/** A string as a structured field (RFC 9651 §3.3.3). */
const structured = /^"(?<text>(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/** `Idempotency-Key`. Its draft asks for a structured string, `"key"`; many clients send `key`. Both mean the same key. */
export const idempotencyKeyHeader = z
  .string()
  .transform((header) => structured.exec(header)?.groups?.['text']?.replace(/\\(.)/g, '$1') ?? header)
  .pipe(idempotencyKeySchema);

/** The longest wait, in seconds; a longer `Prefer: wait` is cut to it. */
export const longestWaitSeconds = 30;

/** A longer header is ignored, so that parsing stays cheap. */
const longestHeader = 200;

/** `token`, `token=word` or `token="word"`, then anything up to the next comma outside quotes (RFC 7240 §2). */
const preference = /^\s*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"([^"\\]*)"|([\w!#$%&'*+.^`|~-]+)))?\s*(?:;.*)?$/;

/**
 * Seconds to wait by `Prefer: wait=…`, at most 30; null without a usable preference. By the RFC, the first of several
 * instances counts, and an unknown preference is ignored.
 */
export function waitSeconds(header: string | undefined): number | null {
  if (header === undefined || header.length > longestHeader) return null;
  const preferences = header.match(/(?:"(?:[^"\\]|\\.)*"|[^",])+/g) ?? [];
  const wait = preferences.map((text) => preference.exec(text)).find((m) => m?.[1]?.toLowerCase() === 'wait');
  const value = wait?.[2] ?? wait?.[3] ?? '';
  return /^\d+$/.test(value) ? Math.min(Number(value), longestWaitSeconds) : null;
}
