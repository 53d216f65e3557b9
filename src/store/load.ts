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
      return Math.max(0, ...(await memoryInfos(redis)).map(memoryShare));
    },
  };
}

/** Of the masters that answer. */
async function memoryInfos(redis: RedisClient): Promise<string[]> {
  const infos = await Promise.allSettled(mastersOf(redis).map((master) => master.info('memory')));
  return infos.flatMap((info) => (info.status === 'fulfilled' ? [info.value] : []));
}

/** The policy by which a master with a `maxmemory` evicts keys; null: none that answers does. */
export async function evictionPolicy(redis: RedisClient): Promise<string | null> {
  const limited = (await memoryInfos(redis)).filter((info) => memoryField(info, 'maxmemory') > 0);
  return limited.map(evictionPolicyIn).find((policy) => policy !== null) ?? null;
}

/** What `INFO memory` says of a server that would evict keys if it had a limit, and reached it; null: it would not. */
export function evictionPolicyIn(info: string): string | null {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction';
  return policy === 'noeviction' ? null : policy;
}

function memoryField(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}

function memoryShare(info: string): number {
  const limit = memoryField(info, 'maxmemory');
  return limit === 0 ? 0 : memoryField(info, 'used_memory') / limit;
}
