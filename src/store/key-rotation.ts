import type { RedisClient } from './script.js';

/** A key under the current encryption key, and where the same would be under older ones. */
export interface HashedKey {
  current: string;
  older: readonly string[];
}

/** The keys that a text's hashes under each encryption key lead to. */
export function hashedKey(
  [current, ...older]: readonly [string, ...string[]],
  toKey: (hash: string) => string,
): HashedKey {
  return { current: toKey(current), older: older.map(toKey) };
}

/**
 * What is known under an older encryption key goes on under the current one, where nothing is known yet: changing `ENCRYPTION_KEYS`
 * must not unlock a number, give a limit back or end a block. Costs nothing while there is one encryption key. The old one stays
 * as it was: which of two keys is the older one, processes do not agree on during a rollout, and none may shorten a lock.
 */
export async function rotateKey(redis: RedisClient, keys: readonly HashedKey[]): Promise<void> {
  await Promise.all(
    keys.map(async ({ current, older }) => {
      if (older.length === 0 || (await redis.exists(current)) === 1) return;
      for (const key of older) {
        const [known, leftMs] = await Promise.all([redis.getBuffer(key), redis.pttl(key)]);
        if (!known || leftMs <= 0) continue;
        // Somebody may have been faster.
        await redis.set(current, known, 'PX', leftMs, 'NX');
        return;
      }
    }),
  );
}
