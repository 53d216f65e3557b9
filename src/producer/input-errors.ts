import type { z } from 'zod';

/** One mistake in the input: where (`otps.0.to`, a query parameter, a header), and what must be. */
export interface InputError {
  path: string;
  message: string;
}

const mostErrors = 20;

/** Every mistake that a schema found, up to 20. */
export function inputErrors({ issues }: z.ZodError): InputError[] {
  return issues.slice(0, mostErrors).flatMap(errorsOf).slice(0, mostErrors);
}

function errorsOf(issue: z.core.$ZodIssue): InputError[] {
  const path = issue.path.map(String);
  if (issue.code !== 'unrecognized_keys') return [{ path: path.join('.'), message: issue.message }];
  return issue.keys.slice(0, mostErrors).map((key) => ({
    path: [...path, shownName(key)].join('.'),
    message: 'is not known here',
  }));
}

/** The name of an unknown member, unless it may be a value in the wrong place: no member of ours holds a digit. */
function shownName(name: string): string {
  return /^[A-Za-z_-]{1,40}$/.test(name) ? name : '?';
}
