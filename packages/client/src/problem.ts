import { type InputMistake, OtpError } from './errors.js';
import type { ProblemCode } from './types.js';

/** What came back, as far as it says what it is. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** What an answer says about the call: the problem it holds, or `invalid_answer` when the gateway cannot have written it. */
export function errorOf(answer: RawAnswer, idempotencyKey: string | null): OtpError {
  const { status, headers } = answer;
  const problem = jsonOf(answer);
  if (typeof problem?.['code'] !== 'string') return invalidAnswer(answer, idempotencyKey);
  const { code, detail, title, errors, attemptsRemaining } = problem;
  return new OtpError({
    // A newer gateway may have codes that are not listed here.
    code: code as ProblemCode,
    status,
    detail: [detail, title].find((text) => typeof text === 'string') ?? 'The gateway refused the call.',
    errors: Array.isArray(errors) ? errors.filter(isMistake) : undefined,
    retryAfterSeconds: retryAfterSeconds(headers),
    requestId: headers.get('x-request-id'),
    attemptsRemaining: typeof attemptsRemaining === 'number' ? attemptsRemaining : undefined,
    idempotencyKey,
  });
}

/** An answer that is not the gateway's, or not whole: of a proxy in between, for example. */
export function invalidAnswer({ status, headers }: RawAnswer, idempotencyKey: string | null): OtpError {
  return new OtpError({
    code: 'invalid_answer',
    status,
    detail: `The answer is not one of the gateway (status ${status}).`,
    retryAfterSeconds: retryAfterSeconds(headers),
    requestId: headers.get('x-request-id'),
    idempotencyKey,
  });
}

/** The object that an answer holds, or null. */
export function jsonOf({ text }: Pick<RawAnswer, 'text'>): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** The gateway says it in seconds; a date, as proxies may write it, says nothing here. */
function retryAfterSeconds(headers: Headers): number | null {
  const text = headers.get('retry-after') ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function isMistake(value: unknown): value is InputMistake {
  if (typeof value !== 'object' || value === null || !('path' in value) || !('message' in value))
    return false;
  return typeof value.path === 'string' && typeof value.message === 'string';
}
