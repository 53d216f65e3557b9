import type { Redis } from 'ioredis';
import { keys } from './keys.js';

/** What tells how much can be taken on: how fast is sent, and how full Redis is. */
export interface Load {
  /** Adds to the number of OTPs that workers are done with. */
  addSent(count: number): Promise<void>;
  /** `sent`: by all workers so far; `memory`: the share of `maxmemory` in use, 0 where there is no limit. */
  read(): Promise<{ sent: number; memory: number }>;
}

export function createLoad(redis: Redis): Load {
  return {
    addSent: async (count) => {
      await redis.incrby(keys.sent, count);
    },
    read: async () => {
      const [sent, info] = await Promise.all([redis.get(keys.sent), redis.info('memory')]);
      const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
      const limit = field('maxmemory');
      return { sent: Number(sent ?? 0), memory: limit === 0 ? 0 : field('used_memory') / limit };
    },
  };
}
