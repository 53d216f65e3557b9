import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { redisScript } from '../lib/redis-script.js';

/** BullMQ's lowest priority. */
const lastPriority = 2 ** 21;
/** Consecutive jobs of one app. */
const roundSize = 50;

/**
 * Start-time fair queueing (Goyal, Vin, Cheng 1996): each app's jobs get consecutive places of its own, and places are
 * served in order across apps. A new app starts at the place being served, so that it does not wait for the million jobs of
 * another, and each app's jobs keep their order. KEYS: the next place by app, with the place being served under the empty
 * name; BullMQ's prioritized jobs. ARGV: app, count.
 */
const reservePlaces = redisScript(`
local head = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if not head[1] then redis.call('DEL', KEYS[1]) end
local served = tonumber(redis.call('HGET', KEYS[1], '') or 0)
if head[2] then served = math.max(served, (math.floor(head[2] / 4294967296) - 1) * ${roundSize}) end
local from = math.max(served, tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0))
redis.call('HSET', KEYS[1], '', served, ARGV[1], from + ARGV[2])
return from`);

/** The BullMQ priorities of an app's next `count` jobs: 1 comes first. */
export async function takePlaces(
  redis: Redis | Cluster,
  queueKey: (name: string) => string,
  { app, count }: { app: string; count: number },
): Promise<number[]> {
  const keys = [queueKey('fair-queue'), queueKey('prioritized')];
  const from = z.number().parse(await reservePlaces(redis, keys, [app, count]));
  return Array.from({ length: count }, (_, i) =>
    Math.min(lastPriority, 1 + Math.floor((from + i) / roundSize)),
  );
}

/** Places of each app that are not served yet; apps without any are left out. */
export async function placesLeft(
  redis: Redis | Cluster,
  queueKey: (name: string) => string,
): Promise<Map<string, number>> {
  const [head, places] = await Promise.all([
    redis.zrange(queueKey('prioritized'), '0', '0', 'WITHSCORES'),
    redis.hgetall(queueKey('fair-queue')),
  ]);
  const { '': lastServed = '0', ...next } = places;
  const score = Number(z.array(z.coerce.string()).parse(head.flat())[1] ?? 0);
  const served = Math.max(Number(lastServed), (Math.floor(score / 2 ** 32) - 1) * roundSize);
  const left = Object.entries(next).map(([app, place]) => [app, Number(place) - served] as const);
  return new Map(score === 0 ? [] : left.filter(([, count]) => count > 0));
}
