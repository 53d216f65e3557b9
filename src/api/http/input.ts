import type { z } from 'zod';
import { inputErrors } from '../../producer/input-errors.js';
import { ApiProblem } from './problem.js';

/** What the schema makes of the input, or the problem `invalid_request` with every mistake it finds. */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new ApiProblem('invalid_request', { errors: inputErrors(parsed.error) });
}
