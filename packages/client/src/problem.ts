import { type InputMistake, OtpError } from './errors.js';
import type { ProblemCode } from './types.js';

/** An answer, read to its end. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** Returns the error of an answer: its problem document, or `invalid_answer` if the gateway did not write it. */
export function errorOf(answer: RawAnswer, idempotencyKey: string | null): OtpError {
  const { status, headers } = answer;
  const problem = jsonOf(answer);
  if (typeof problem?.['code'] !== 'string') return invalidAnswer(answer, idempotencyKey);
  const { code, detail, title, errors, attemptsRemaining } = problem;
  return new OtpError({
    // A newer gateway may have further codes.
    code: code as ProblemCode,
    status,
    detail: [detail, title].find((text) => typeof text === 'string') ?? 'The gateway rejected the call.',
    errors: Array.isArray(errors) ? errors.filter(isMistake) : undefined,
    retryAfterSeconds: retryAfterSeconds(headers),
    requestId: headers.get('x-request-id'),
    attemptsRemaining: typeof attemptsRemaining === 'number' ? attemptsRemaining : undefined,
    idempotencyKey,
  });
}

/** The error of an answer that is incomplete or not the gateway's, such as a proxy's. */
export function invalidAnswer({ status, headers }: RawAnswer, idempotencyKey: string | null): OtpError {
  return new OtpError({
    code: 'invalid_answer',
    status,
    detail: `The answer is not the gateway's (status ${status}).`,
    retryAfterSeconds: retryAfterSeconds(headers),
    requestId: headers.get('x-request-id'),
    idempotencyKey,
  });
}

/** Parses a JSON object; null for anything else. */
export function jsonOf({ text }: Pick<RawAnswer, 'text'>): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Reads Retry-After in seconds, as the gateway writes it; ignores a date. */
function retryAfterSeconds(headers: Headers): number | null {
  const text = headers.get('retry-after') ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function isMistake(value: unknown): value is InputMistake {
  if (typeof value !== 'object' || value === null || !('path' in value) || !('message' in value))
    return false;
  return typeof value.path === 'string' && typeof value.message === 'string';
}
