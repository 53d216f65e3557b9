import { Redis } from 'ioredis';
import { afterAll, inject } from 'vitest';

/** Files that run at the same time have different pool ids, so each has a logical database of its own. */
const database = Number(process.env['VITEST_POOL_ID'] ?? 1);

const opened: Redis[] = [];
let emptied: Promise<unknown> | undefined;

/** `redis://…/<n>`: this test file's own database, for processes started by a test. */
export function databaseUrl(): string {
  return `${inject('redisUrl')}/${database}`;
}

/** A connection to this test file's own database, empty at the first call, closed after the file's tests. */
export async function connect(): Promise<Redis> {
  const redis = new Redis(databaseUrl(), { maxRetriesPerRequest: null });
  opened.push(redis);
  emptied ??= redis.flushdb();
  await emptied;
  return redis;
}

afterAll(() => {
  for (const redis of opened) redis.disconnect();
});
