import { z } from 'zod';

/** The provider's message id, bounded so that nothing odd gets into a record. The samples are UUIDs. */
export const uuidSchema = z
  .string()
  .trim()
  .regex(/^[0-9A-Fa-f][0-9A-Fa-f-]{0,63}$/);

/** The provider's SMS id: digits, as a string or as a number that JSON carries without loss. */
export const smsIdSchema = z
  .union([z.string().trim(), z.int().nonnegative().transform(String)])
  .pipe(z.string().regex(/^\d{1,32}$/));
