import { redisTrouble } from '../../producer/redis-trouble.js';

/** For one record of many that no encryption key opens, or that is broken: it is left out. Trouble with Redis ends them all. */
export function unreadable(error: unknown): null {
  if (redisTrouble(error) !== null) throw error;
  return null;
}
