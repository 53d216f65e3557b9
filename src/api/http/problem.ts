import type { ServerResponse } from 'node:http';
import type { InputError } from '../../lib/input-errors.js';
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

/** Ends a request with a problem; thrown anywhere below a route. */
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

/** The problem of a request as a whole, said by `detail`. */
export function unreadable(detail: string): ApiProblem {
  return new ApiProblem('invalid_request', { detail });
}

/** The media type of every error. */
export const problemMediaType = 'application/problem+json';

/** The document of RFC 9457. Members stand in a fixed order. `type` is absolute if the gateway's origin is known. */
export function problemDocument({ code, facts }: ApiProblem, origin = '') {
  const { status, title, detail } = problems[code];
  return {
    type: `${origin}/docs/errors#${code}`,
    title,
    status,
    detail: facts.detail ?? detail,
    code,
    ...(facts.errors && { errors: facts.errors }),
    ...facts.members,
  };
}

const compatDetails: Partial<Record<ProblemCode, string>> = {
  binding_mismatch:
    'This OTP approves something that this API cannot name, so only the REST API (/v1) can verify it. The attempt counts as a wrong code.',
};

/** What is wrong, for an API with parameters of its own: names without Markdown, those of `names` in place of members. */
export function compatDetail(problem: ApiProblem, names: ReadonlyMap<string, string>): string {
  const { detail, errors = [] } = problemDocument(problem);
  const [first] = errors;
  const text = first ? `${names.get(first.path) ?? first.path} ${first.message}` : detail;
  return (compatDetails[problem.code] ?? text).replaceAll('`', '');
}

/** The headers of a problem, which no cache keeps: `Retry-After` in seconds wherever a retry makes sense. */
export function problemHeaders({ code, facts }: ApiProblem): Record<string, string> {
  const { retryAfterSeconds } = problems[code];
  return {
    'Cache-Control': 'no-store',
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

/** Notes the problem that an error stands for, for the request's log line and metrics; rethrows a bug. */
export function noteProblem(res: ServerResponse, error: unknown): ApiProblem {
  const problem = knownProblem(error);
  if (!problem) throw error;
  Object.assign(contextOf(res), { problem: problem.code, reason: problem.facts.reason ?? null });
  return problem;
}
