import type { Redis } from 'ioredis';
import { fulfilled, withTimeout } from '../lib/with-timeout.js';
import { keys } from './keys.js';
import { mastersOf, type RedisClient } from './script.js';

/** Measures for backpressure: OTPs done, and Redis's memory. */
export type Load = ReturnType<typeof createLoad>;

/** The load, as all processes know it. */
export function createLoad(redis: RedisClient) {
  return {
    /** Adds to the number of jobs that workers took out of the send queue: sent, ended otherwise, or delayed. */
    addDone: async (count: number) => {
      await redis.incrby(keys.done, count);
    },
    /** How many all workers are done with so far. */
    done: async () => Number((await redis.get(keys.done)) ?? 0),
    /**
     * The share of `maxmemory` in use, of a cluster by the fullest of the masters that answer; 0 where there is no limit.
     */
    memory: async () => Math.max(0, ...(await fulfilled(mastersOf(redis).map(memoryInfo))).map(memoryShare)),
  };
}

const memoryInfo = (master: Redis) => master.info('memory');

/** Less than readiness may take: an unavailable master hides no policy of the others. */
const infoWithinMs = 250;

/** The policy by which a master with a `maxmemory` evicts keys; null: none that answers does. */
export async function evictionPolicy(redis: RedisClient): Promise<string | null> {
  const infos = await fulfilled(
    mastersOf(redis).map((master) => withTimeout(memoryInfo(master), infoWithinMs)),
  );
  const limited = infos.filter((info) => memoryField(info, 'maxmemory') > 0);
  return limited.map(evictionPolicyIn).find((policy) => policy !== null) ?? null;
}

/** The policy in `INFO memory` of a server that would evict keys at its memory limit; null: it would not. */
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
