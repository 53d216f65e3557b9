import { batchId } from '../otp/otp-id.js';
import { keys } from './keys.js';
import { loadScript, longestListedMs, type Policy, type RedisClient } from './script.js';

/** A batch's place in the list of its app. */
export interface BatchPlace {
  /** When it got its first OTP, in ms since 1970. */
  at: number;
  id: string;
}

/** About 1 MB of Redis for an app. */
const mostListed = 10_000;

/** The list of each app's batches that have OTPs. */
export function createBatchList(options: {
  redis: RedisClient;
  policy: Pick<Policy, 'retentionMs' | 'sendLeaseMs'>;
}) {
  const { redis, policy } = options;
  const addScript = loadScript(redis, 'batches/batches#add-to-app-list');
  const listedMs = longestListedMs(policy);
  return {
    /** Adds a batch to the list of its app. */
    addToAppList: async (app: string, batch: string, createdAt?: number) => {
      await addScript([keys.batchesOfApp(app)], [batch, createdAt ?? '', mostListed, listedMs]);
    },
    /** Up to `most` batches of an app that have OTPs, newest first, created since a time, after this one in the list. */
    newest: async (
      app: string,
      { since, after, most }: { since: number; after: BatchPlace | null; most: number },
    ) => {
      const found: BatchPlace[] = [];
      for (let offset = 0; found.length < most; offset += most) {
        const reply = await redis.zrevrangebyscore(
          keys.batchesOfApp(app),
          ...([after?.at ?? '+inf', since, 'WITHSCORES', 'LIMIT', offset, most] as const),
        );
        if (reply.length === 0) break;
        const places = Array.from({ length: reply.length / 2 }, (_, i) => ({
          id: batchId(reply[2 * i] ?? ''),
          at: Number(reply[2 * i + 1]),
        }));
        // Those of the same millisecond stand in the order of their ids, last ones first.
        found.push(...places.filter(({ at, id }) => !after || at < after.at || id < after.id));
      }
      return found.slice(0, most);
    },
  };
}
