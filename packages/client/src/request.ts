import { networkError, OtpError } from './errors.js';
import { errorOf, invalidAnswer, jsonOf, type RawAnswer } from './problem.js';
import { type RetryRule, retryPauseMs } from './retry.js';
import type { Settings } from './settings.js';
import { type Limit, limited, pause } from './time.js';

/** A call of the API. */
export interface Request {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Under the base URL, with its query. */
  path: string;
  rule: RetryRule;
  body?: object;
  idempotencyKey?: string;
  waitSeconds?: number | undefined;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Makes a call, with retries where they are safe. Resolves with an answer that `isAnswer` accepts; rejects with an
 * OtpError, or with the reason of the call's signal.
 */
export type Caller = <T>(call: Request, isAnswer: Check) => Promise<T>;

/** Creates the caller of one client. */
export function createCaller(settings: Settings): Caller {
  return async <T>(call: Request, isAnswer: Check) => {
    const until = performance.now() + limitMs(settings, call);
    let before: OtpError | null = null;
    for (let failed = 1; ; failed += 1) {
      const ms = tryMs(call, { leftMs: until - performance.now(), others: settings.retries - failed + 1 });
      try {
        return (await tryOnce(settings, call, { ms, isAnswer })) as T;
      } catch (error) {
        if (!(error instanceof OtpError)) throw error;
        const { rule } = call;
        const pauseMs = retryPauseMs(error, { rule, failed, retries: settings.retries, before });
        if (pauseMs === null || performance.now() + pauseMs >= until) throw error;
        await pause(pauseMs, call.signal);
        before = error;
      }
    }
  };
}

function limitMs({ timeoutMs, verifyTimeoutMs }: Settings, call: Request): number {
  const usual = call.rule === 'verification' ? verifyTimeoutMs : timeoutMs;
  return (call.timeoutMs ?? usual) + (call.waitSeconds ?? 0) * 1_000;
}

/** A connection may be dead without an error, so a try leaves half of the time to later ones. */
function tryMs(
  { rule, waitSeconds }: Request,
  { leftMs, others }: { leftMs: number; others: number },
): number {
  const whole = others <= 0 || rule === 'verification' || waitSeconds !== undefined;
  return whole ? leftMs : leftMs / 2;
}

async function tryOnce(
  settings: Settings,
  call: Request,
  { ms, isAnswer }: { ms: number; isAnswer: Check },
): Promise<Json> {
  const key = call.idempotencyKey ?? null;
  const answer = await exchange(settings, call, { ms, signal: call.signal });
  if (answer.status < 200 || answer.status > 299) throw errorOf(answer, key);
  const json = answer.status === 204 ? null : jsonOf(answer);
  if (!isAnswer(json)) throw invalidAnswer(answer, key);
  return json;
}

async function exchange(settings: Settings, call: Request, limit: Limit): Promise<RawAnswer> {
  const { fetch, baseUrl } = settings;
  const url = baseUrl + call.path;
  const init = {
    method: call.method,
    headers: headersOf(settings, call),
    // The API key must reach no other host.
    redirect: 'manual' as const,
    ...(call.body && { body: JSON.stringify(call.body) }),
  };
  try {
    return await limited(limit, async (signal) => rawAnswer(await fetch(url, { ...init, signal })));
  } catch (error) {
    throw callError(error, call);
  }
}

/** Reads an answer to its end. */
export async function rawAnswer(response: Response): Promise<RawAnswer> {
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Adds the idempotency key, with which the call can be repeated; keeps the reason of an aborted signal. */
function callError(error: unknown, call: Request): unknown {
  if (call.signal?.aborted) return error;
  const idempotencyKey = call.idempotencyKey ?? null;
  if (error instanceof OtpError) return new OtpError({ ...error, idempotencyKey });
  return networkError(error, idempotencyKey);
}

function headersOf({ authorization }: Settings, call: Request): Record<string, string> {
  return {
    Authorization: authorization,
    Accept: 'application/json, application/problem+json',
    ...(call.body && { 'Content-Type': 'application/json' }),
    ...(call.idempotencyKey !== undefined && { 'Idempotency-Key': call.idempotencyKey }),
    ...(call.waitSeconds !== undefined && { Prefer: `wait=${call.waitSeconds}` }),
  };
}

/** The JSON object of an answer; null for an empty one. */
type Json = Record<string, unknown> | null;

/** Checks a member or two of an answer, enough to detect the page of a captive portal or a proxy. */
export type Check = (answer: Json) => boolean;

export const isNothing: Check = (answer) => answer === null;

/** An OTP. */
export const isOtp: Check = (answer) => isText(answer?.['id']) && isText(answer?.['status']);

/** A successful verification: callers sign users in when the promise resolves. */
export const isVerified: Check = (answer) =>
  isText(answer?.['id']) && answer?.['status'] === 'verified' && isText(answer['verifiedAt']);

/** A batch. */
export const isBatch: Check = (answer) => isText(answer?.['id']) && typeof answer?.['counts'] === 'object';

/** A balance. */
export const isBalance: Check = (answer) => typeof answer?.['credits'] === 'number';

/** Whether it holds a list of this name. */
export const holdsList =
  (name: string): Check =>
  (answer) =>
    Array.isArray(answer?.[name]);

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
