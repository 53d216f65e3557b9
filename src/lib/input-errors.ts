import { z } from 'zod';

/** An error in the input: its path (`otps.0.to`, a query parameter, a header), and what is wrong or required. */
export interface InputError {
  path: string;
  message: string;
}

const mostErrors = 20;
/** Errors that `errorText` names. */
const mostNamed = 3;

/** Parses input by a schema; the result, or its errors, at most `most`. */
export function parseWithErrors<S extends z.ZodType>(
  schema: S,
  input: unknown,
  most = mostErrors,
): { data: z.output<S> } | { errors: InputError[] } {
  const parsed = schema.safeParse(input, { error: plainMessage });
  if (parsed.success) return { data: parsed.data };
  const errors = parsed.error.issues.slice(0, most).flatMap((issue) => errorsOf(issue, most));
  return { errors: errors.slice(0, most) };
}

/** The errors in one sentence: "`to` is missing." */
export function errorText(errors: readonly InputError[]): string {
  const named = errors
    .slice(0, mostNamed)
    .map(({ path, message }) => `${path === '' ? 'The request' : `\`${path}\``} ${message}`);
  const more = errors.length - named.length;
  return `${[...named, ...(more > 0 ? [`${more} more`] : [])].join('; ')}.`;
}

/** Refuses a member called `__proto__`, which schemas of records otherwise drop without an error. */
export function refuseProto<S extends z.ZodType>(schema: S) {
  return z.preprocess((input: z.input<S>, context) => {
    if (Object.hasOwn(Object(input), '__proto__')) {
      context.addIssue({ code: 'custom', path: ['__proto__'], message: 'is not allowed as a name' });
    }
    return input;
  }, schema);
}

function errorsOf(issue: z.core.$ZodIssue, most: number): InputError[] {
  const path = issue.path.map(String);
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ path: [...path.slice(0, -1), shownName(path.at(-1) ?? '')].join('.'), message }];
  }
  if (issue.code !== 'unrecognized_keys') return [{ path: path.join('.'), message: issue.message }];
  return issue.keys.slice(0, most).map((key) => ({
    path: [...path, shownName(key)].join('.'),
    message: 'is unknown',
  }));
}

/** The name of an unknown member, unless it may be a value in the wrong place: no known member holds a digit. */
function shownName(name: string): string {
  return /^[A-Za-z_-]{1,40}$/.test(name) ? name : '?';
}

const types: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'a JSON object',
};

/** Plain words for the issues whose schema has no message of its own; zod's words for the rest. */
function plainMessage(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is missing';
      return `must be ${types[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return `must ${atLeast[issue.origin] ?? 'be'} at least ${issue.minimum}${units[issue.origin] ?? ''}`;
    case 'too_big':
      return `must ${atLeast[issue.origin] ?? 'be'} at most ${issue.maximum}${units[issue.origin] ?? ''}`;
    case 'invalid_value':
      if (issue.input === undefined) return 'is missing';
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    default:
      return undefined;
  }
}

const atLeast: Record<string, string> = { string: 'have', array: 'have' };
const units: Record<string, string> = { string: ' characters', array: ' items' };
