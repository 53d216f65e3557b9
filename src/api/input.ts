import type { z } from 'zod';
import { ApiProblem, type InputError } from './problem.js';

const mostErrors = 20;

/** What the schema makes of the input, or the problem `invalid_request` with every mistake it finds. */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.flatMap(inputErrors).slice(0, mostErrors);
  throw new ApiProblem('invalid_request', { errors });
}

/** One mistake in one place, as the same problem. */
export function invalidInput(path: string, message: string): ApiProblem {
  return new ApiProblem('invalid_request', { errors: [{ path, message }] });
}

function inputErrors(issue: z.core.$ZodIssue): InputError[] {
  const path = issue.path.map(String);
  if (issue.code !== 'unrecognized_keys') return [{ path: path.join('.'), message: issue.message }];
  return issue.keys.map((key) => ({
    path: [...path, shownName(key)].join('.'),
    message: 'is not known here',
  }));
}

/** The name of an unknown member, unless it may be a value in the wrong place: no member of ours holds a digit. */
function shownName(name: string): string {
  return /^[A-Za-z_-]{1,40}$/.test(name) ? name : '?';
}
