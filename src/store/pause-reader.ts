import { withTimeout } from '../lib/with-timeout.js';
import { keys } from './keys.js';
import type { RedisClient } from './script.js';

/** A master that answers later than this is taken for away. */
const pauseDeadlineMs = 200;

/**
 * Reads what pauses sending now: `operator` or the account's trouble; null: nothing. `whileTrying`: also while OTPs are
 * tried one at a time. On a Redis Cluster it lies with a few masters; one that is away must not stop the others' OTPs, so
 * then what was last read of it counts.
 */
export function createPauseReader(
  redis: RedisClient,
  { operatorPauseKeys, whileTrying = false }: { operatorPauseKeys: readonly string[]; whileTrying?: boolean },
): () => Promise<string | null> {
  const fields = whileTrying ? ['trouble', 'trying'] : ['trouble'];
  const reads = [
    lastKnown(
      async () => (await redis.hmget(keys.pause, ...fields)).find((trouble) => trouble !== null) ?? null,
      null,
    ),
    ...operatorPauseKeys.map((key) =>
      lastKnown(async () => ((await redis.hexists(key, 'paused')) === 1 ? 'operator' : null), null),
    ),
  ];
  return async () => {
    const [trouble = null, ...byOperator] = await Promise.all(reads.map((read) => read()));
    return byOperator.find((paused) => paused !== null) ?? trouble;
  };
}

/** What is read, or what was last read when that fails or takes too long. Callers that ask meanwhile wait for the same. */
export function lastKnown<T>(read: () => Promise<T>, first: T): () => Promise<T> {
  let known = first;
  let asking: Promise<unknown> | null = null;
  const ask = async () => {
    const reading = read().then((found) => {
      known = found;
    });
    await withTimeout(reading, pauseDeadlineMs).catch(() => {});
    asking = null;
  };
  return async () => {
    asking ??= ask();
    await asking;
    return known;
  };
}
