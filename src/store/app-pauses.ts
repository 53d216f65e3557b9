import { keys } from './keys.js';
import type { RedisClient } from './script.js';

/** Apps whose sending an operator paused: their OTPs wait, and new ones are refused. Verification goes on. */
export interface AppPauses {
  /** The paused apps, and since when, in ms since 1970. */
  read(): Promise<Map<string, number>>;
  isPaused(app: string): Promise<boolean>;
  /** False if it was paused before. */
  pause(app: string): Promise<boolean>;
  /** False if it was not paused. */
  resume(app: string): Promise<boolean>;
}

export function createAppPauses({ redis }: { redis: RedisClient }): AppPauses {
  return {
    read: async () => {
      const found = await redis.hgetall(keys.appPauses);
      return new Map(Object.entries(found).map(([app, since]) => [app, Number(since)]));
    },
    isPaused: async (app) => (await redis.hexists(keys.appPauses, app)) === 1,
    pause: async (app) => (await redis.hsetnx(keys.appPauses, app, Date.now())) === 1,
    resume: async (app) => (await redis.hdel(keys.appPauses, app)) === 1,
  };
}
