import { keys } from './keys.js';
import { mastersOf, type RedisClient } from './script.js';

/** What tells how much can be taken on: how fast OTPs are dealt with, and how full Redis is. */
export interface Load {
  /** Adds to the number of OTPs that workers are done with: sent, or ended otherwise. */
  addDone(count: number): Promise<void>;
  /** How many all workers are done with so far. */
  done(): Promise<number>;
  /**
   * The share of `maxmemory` in use, of a cluster by the fullest of the masters that answer; 0 where there is no limit.
   */
  memory(): Promise<number>;
}

/** The load, as all processes know it. */
export function createLoad(redis: RedisClient): Load {
  return {
    addDone: async (count) => {
      await redis.incrby(keys.done, count);
    },
    done: async () => Number((await redis.get(keys.done)) ?? 0),
    memory: async () => {
      const infos = await Promise.allSettled(mastersOf(redis).map((master) => master.info('memory')));
      const shares = infos.map((info) => (info.status === 'fulfilled' ? memoryShare(info.value) : 0));
      return Math.max(0, ...shares);
    },
  };
}

function memoryShare(info: string): number {
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const limit = field('maxmemory');
  return limit === 0 ? 0 : field('used_memory') / limit;
}
