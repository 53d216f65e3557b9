import { keys } from './keys.js';
import type { RedisClient } from './script.js';

/** Apps whose sending an operator paused: their OTPs wait, and new ones are refused. Verification goes on. */
export function createAppPauses({ redis }: { redis: RedisClient }) {
  return {
    /** The paused apps, and since when, in ms since 1970. */
    read: async () => {
      const found = await redis.hgetall(keys.appPauses);
      return new Map(Object.entries(found).map(([app, since]) => [app, Number(since)]));
    },
    isPaused: async (app: string) => (await redis.hexists(keys.appPauses, app)) === 1,
    /** False if it was paused before. */
    pause: async (app: string) => (await redis.hsetnx(keys.appPauses, app, Date.now())) === 1,
    /** False if it was not paused. */
    resume: async (app: string) => (await redis.hdel(keys.appPauses, app)) === 1,
  };
}
