import { once } from 'node:events';
import { Cluster, type Redis } from 'ioredis';
import { expect, inject } from 'vitest';
import { connectForWork } from '../../src/main/redis.js';
import { afterFile } from './clean-up.js';

/** Files that run at the same time have different pool ids, so each has a database of its own. */
const poolId = Number(process.env['VITEST_POOL_ID'] ?? 1);

/** The test file that the database was emptied for. */
let emptiedFor: string | undefined;
let emptied: Promise<unknown> | undefined;

/** This test file's own database, or its own cluster: for processes started by a test. */
export function databaseUrl(): string {
  const url = inject('databases')?.[poolId - 1];
  if (url === undefined) throw new Error('no Redis here: vitest.config.ts lists this file as a unit test');
  return url;
}

/** A connection to this test file's own database, empty at the first call, closed after the file's tests. */
export async function connect(): Promise<Redis> {
  const redis = await connectTo(databaseUrl());
  afterFile(() => redis.disconnect());
  const file = expect.getState().testPath;
  if (emptiedFor !== file) emptied = redis.flushdb();
  emptiedFor = file;
  await emptied;
  return redis;
}

/** A connection that a test looks through; on a cluster it shows all masters as if they were one. */
export async function connectTo(url: string): Promise<Redis> {
  const redis = connectForWork(url);
  redis.on('error', () => {});
  await once(redis, 'ready');
  return redis instanceof Cluster ? asOne(redis) : redis;
}

/** What reaches only one master by itself is asked of all. */
function asOne(cluster: Cluster): Redis {
  const ofAll = <T>(ask: (master: Redis) => Promise<T>) => Promise.all(cluster.nodes('master').map(ask));
  const sum = async (counts: Promise<number[]>) => (await counts).reduce((total, count) => total + count, 0);
  const asked: Record<string, unknown> = {
    keys: async (pattern: string) => (await ofAll((master) => master.keys(pattern))).flat(),
    dbsize: () => sum(ofAll((master) => master.dbsize())),
    flushdb: () => ofAll((master) => master.flushdb()),
    config: (...args: string[]) => ofAll((master) => master.call('config', ...args)),
    del: (...keys: string[]) => sum(Promise.all(keys.map((key) => cluster.del(key)))),
  };
  return new Proxy(cluster, {
    get: (target, name) => {
      const member = asked[String(name)] ?? Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  }) as unknown as Redis;
}
