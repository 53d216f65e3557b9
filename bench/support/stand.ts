import { rmSync } from 'node:fs';
import { Redis } from 'ioredis';
import { type RedisServer, startRedisServer } from '../../test/support/redis-server.js';
import type { Extent } from '../pairs.js';
import { until } from './clock.js';
import { type ProviderProcess, startProvider } from './provider-process.js';

export interface StandOptions {
  /** Everything once and tiny: it only shows that all of it runs. */
  short: boolean;
  appendfsync: 'always' | 'everysec';
}

/** What one row is measured on: a Redis with the settings we ship, and a provider. */
export interface Stand {
  short: boolean;
  /** How often each side is measured. */
  rounds: number;
  /** Rounds of so many, after a first one of half the size unless `warmUp` says otherwise. */
  extent(full: number, short: number, warmUp?: number): Extent;
  /** How many of something a measurement makes. */
  size(full: number, short: number): number;
  redisUrl: string;
  client: Redis;
  provider: ProviderProcess;
  /** Empties Redis and its append-only file, so that every measurement finds the same. */
  empty(): Promise<void>;
  /** Has something closed with the stand, last come first. */
  add<T>(part: T, close: (part: T) => Promise<unknown>): T;
  /** A further Redis like the stand's own. */
  secondStand(): Promise<Stand>;
}

const rounds = 5;

/** Runs `work` on a stand of its own, and ends what was started on it. */
export async function withStand<T>(options: StandOptions, work: (stand: Stand) => Promise<T>): Promise<T> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    return await work(await createStand(options, closers));
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function createStand(options: StandOptions, closers: (() => Promise<unknown>)[]): Promise<Stand> {
  const add: Stand['add'] = (part, close) => {
    closers.push(() => close(part));
    return part;
  };
  const redis = add(await startRedis(options.appendfsync), (server) => server.stop());
  const connect = () => new Redis(redis.url, { maxRetriesPerRequest: null });
  const client = add(connect(), async (open) => open.disconnect());
  const provider = add(await startProvider(), (child) => child.end());
  return {
    short: options.short,
    rounds: options.short ? 1 : rounds,
    extent: (full, short, warmUp = full / 2) =>
      options.short ? { rounds: 1, count: short, warmUp: 0 } : { rounds, count: full, warmUp },
    size: (full, short) => (options.short ? short : full),
    redisUrl: redis.url,
    client,
    provider,
    empty: () => empty(client),
    add,
    secondStand: () => createStand(options, closers),
  };
}

async function startRedis(appendfsync: StandOptions['appendfsync']): Promise<RedisServer> {
  const redis = await startRedisServer({ appendfsync });
  const { pid, dir } = redis;
  const end = () => {
    process.kill(pid, 'SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', end);
  return { ...redis, stop: () => redis.stop().finally(() => process.off('exit', end)) };
}

async function empty(client: Redis): Promise<void> {
  await client.flushall();
  // One that Redis began by itself may still be under way.
  await rewritten(client);
  await client.bgrewriteaof();
  await rewritten(client);
}

/** Waits until Redis writes nothing in the background. */
export async function rewritten(client: Redis): Promise<void> {
  await until('the append-only file is rewritten', 120_000, async () => {
    const info = await client.info('persistence');
    return info.includes('aof_rewrite_in_progress:0') && info.includes('aof_rewrite_scheduled:0');
  });
}
