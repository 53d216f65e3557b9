import type { Redis } from 'ioredis';

// Before Redis 7, which has a command for it, the sum of two readings: late by what passes between them.
const expiry = `
local known, at = pcall(redis.call, 'PEXPIRETIME', KEYS[1])
if known then return at end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then return -1 end
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000) + left`;

/** When Redis forgets a key: milliseconds since 1970, or -1 for one that is not there or stays. */
export async function expiresAt(redis: Redis, key: string): Promise<number> {
  return Number(await redis.eval(expiry, 1, key));
}

/** Deletes the keys that have expired at `now`, a time that Redis's own clock has not reached; resolves with them. */
export async function expireKeys(redis: Redis, now: number): Promise<string[]> {
  const expired: string[] = [];
  for (const key of await redis.keys('*')) {
    const at = await expiresAt(redis, key);
    if (at >= 0 && at <= now && (await redis.del(key))) expired.push(key);
  }
  return expired;
}
