import type { InputError } from '../../producer/input-errors.js';
import { type ProblemCode, problems } from './problems.js';

/** What one problem says beyond its line in the table. All but `reason` is public. */
export interface ProblemFacts {
  detail?: string;
  errors?: InputError[];
  /** Members of the answer that only this problem has. */
  members?: Record<string, string | number>;
  headers?: Record<string, string>;
  /** A stable word for the log alone. */
  reason?: string;
}

/** A request that ends in this problem; thrown anywhere below a route, answered in one place. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';

  constructor(
    readonly code: ProblemCode,
    readonly facts: ProblemFacts = {},
  ) {
    super(code);
  }
}

/** The document of RFC 9457. Members stand in a fixed order, so that equal problems are equal byte for byte. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ProblemCode;
  errors?: InputError[];
  [member: string]: unknown;
}

/** The media type of every error. */
export const problemMediaType = 'application/problem+json';

/** A stable reference that leads to the explanation on the documentation page. */
export function problemType(code: ProblemCode): string {
  return `/docs#${code}`;
}

/** What the client gets to read. */
export function problemDocument({ code, facts }: ApiProblem): ProblemDocument {
  const { status, title, detail } = problems[code];
  return {
    type: problemType(code),
    title,
    status,
    detail: facts.detail ?? detail,
    code,
    ...(facts.errors && { errors: facts.errors }),
    ...facts.members,
  };
}

/** The headers that go with it: `Retry-After` in seconds wherever trying again makes sense. */
export function problemHeaders({ code, facts }: ApiProblem): Record<string, string> {
  const { retryAfterSeconds } = problems[code];
  return {
    ...(retryAfterSeconds !== undefined && { 'Retry-After': String(retryAfterSeconds) }),
    ...facts.headers,
  };
}

/** The header for a wait of so many milliseconds: whole seconds, at least one. */
export function retryAfter(ms: number): { 'Retry-After': string } {
  return { 'Retry-After': String(Math.max(1, Math.ceil(ms / 1_000))) };
}
