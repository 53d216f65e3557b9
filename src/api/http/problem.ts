import type { ErrorRequestHandler, Request, Response } from 'express';
import type { InputError } from '../../lib/input-errors.js';
import type { Logger } from '../../lib/logger.js';
import { redisTrouble } from '../../producer/redis-trouble.js';
import { contextOf } from './context.js';
import { type ProblemCode, problems } from './problems.js';

/** Details of one problem beyond its line in the table. All but `reason` is public. */
interface ProblemFacts {
  detail?: string;
  errors?: InputError[];
  /** Members of the answer that only this problem has. */
  members?: Record<string, string | number>;
  headers?: Record<string, string>;
  /** A stable word for the log alone. */
  reason?: string;
}

/** Ends a request with a problem; thrown anywhere below a route, answered by `answerErrors`. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';

  constructor(
    readonly code: ProblemCode,
    readonly facts: ProblemFacts = {},
  ) {
    super(code);
  }
}

/** Answers quote a name of a parameter, which can be anything, up to this length. */
const longestName = 40;

/** The problem of one parameter. */
export function invalid(name: string, message: string): ApiProblem {
  return new ApiProblem('invalid_request', { errors: [{ path: name.slice(0, longestName), message }] });
}

/** The media type of every error. */
export const problemMediaType = 'application/problem+json';

/** The document of RFC 9457. Members stand in a fixed order, so that equal problems are equal byte for byte. */
export function problemDocument({ code, facts }: ApiProblem) {
  const { status, title, detail } = problems[code];
  return {
    /** Leads to the explanation on the documentation page. */
    type: `/docs#${code}`,
    title,
    status,
    detail: facts.detail ?? detail,
    code,
    ...(facts.errors && { errors: facts.errors }),
    ...facts.members,
  };
}

/** The headers of a problem: `Retry-After` in seconds wherever a retry makes sense. */
export function problemHeaders({ code, facts }: ApiProblem): Record<string, string> {
  const { retryAfterSeconds } = problems[code];
  return {
    ...(retryAfterSeconds !== undefined && { 'Retry-After': String(retryAfterSeconds) }),
    ...facts.headers,
  };
}

/** `Retry-After` for a wait in milliseconds: whole seconds, at least one. */
export function retryAfter(ms: number): { 'Retry-After': string } {
  return { 'Retry-After': String(Math.max(1, Math.ceil(ms / 1_000))) };
}

/** The problem that an error stands for; null for a bug. */
export function knownProblem(error: unknown): ApiProblem | null {
  if (error instanceof ApiProblem) return error;
  const trouble = redisTrouble(error);
  return trouble === null ? null : new ApiProblem('queue_unavailable', { reason: trouble });
}

/** Notes a problem for the request's log line and metrics. */
export function noteProblem(res: Response, { code, facts }: ApiProblem): void {
  Object.assign(contextOf(res), { problem: code, reason: facts.reason ?? null });
}

/** Sends a problem document, and notes its code. */
function sendProblem(res: Response, problem: ApiProblem): void {
  noteProblem(res, problem);
  res
    .status(problems[problem.code].status)
    .set(problemHeaders(problem))
    .set('Content-Type', problemMediaType)
    .send(Buffer.from(JSON.stringify(problemDocument(problem))));
}

/** Error handler of the whole app: answers each error with a problem, and logs bugs. */
export function answerErrors(logger: Logger): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    const problem = problemOf(error);
    if (problem.code === 'internal_error') logBug(logger, error, { req, res });
    if (!res.headersSent) return sendProblem(res, problem);
    // The answer has begun; breaking it off shows that it is incomplete.
    noteProblem(res, problem);
    res.destroy();
  };
}

function problemOf(error: unknown): ApiProblem {
  const known = knownProblem(error);
  if (known) return known;
  if (error instanceof URIError) {
    return new ApiProblem('invalid_request', { detail: 'The path is not percent-encoded properly.' });
  }
  return new ApiProblem('internal_error');
}

function logBug(logger: Logger, error: unknown, { req, res }: { req: Request; res: Response }): void {
  const { requestId, route } = contextOf(res);
  logger.error(
    { event: 'http.internal_error', requestId, ...traceOf(error) },
    `Unhandled error in ${req.method} ${route ?? 'a request without a route'}`,
  );
}

/** The error's name and stack, without its message, which may quote a number or a code. */
function traceOf(error: unknown): object {
  if (!(error instanceof Error)) return { error: typeof error };
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return { error: error.name, frames: frames?.map((line) => line.trim()) };
}
