import { randomUUID } from 'node:crypto';
import { type Job, Queue } from 'bullmq';
import type { Cluster } from 'ioredis';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connectForWork } from '../../src/main/redis.js';
import type { Otp } from '../../src/otp/otp.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { announceShards, shardName } from '../../src/queues/shards.js';
import { masterOf } from '../../src/store/script.js';
import { createShardWorkers, EagerWorker, type ShardWorker } from '../../src/workers/shard-workers.js';
import { admitted, number } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { startRedisCluster } from '../support/redis-cluster.js';
import { createScene, type Scene } from '../support/workers.js';

const redis = await connect();
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

function fakeWorker() {
  const worker = {
    maxConcurrency: 1,
    paused: false,
    setMaxConcurrency: (most: number) => {
      worker.maxConcurrency = most;
    },
    pause: async () => {
      worker.paused = true;
    },
    resume: () => {
      worker.paused = false;
    },
    isRunning: () => !worker.paused,
    close: async () => {},
  };
  return worker satisfies ShardWorker;
}

/** Workers of shards for 50 sends at a time, and those of them that were opened. */
function fakeShards() {
  const opened: ReturnType<typeof fakeWorker>[] = [];
  const workers = createShardWorkers(() => {
    const worker = fakeWorker();
    opened.push(worker);
    return worker;
  }, 50);
  return { opened, workers };
}

it('the workers of all shards share one limit of sends in flight, and pause and resume together', async () => {
  const { opened, workers } = fakeShards();
  workers.serve([0, 1], []);
  expect(opened.map(({ maxConcurrency }) => maxConcurrency)).toEqual([25, 25]);
  await workers.pause();
  workers.serve([0, 1, 2], []);
  expect(opened.map(({ maxConcurrency }) => maxConcurrency)).toEqual([17, 17, 16]);
  expect(opened.every(({ paused }) => paused)).toBe(true);
  expect(workers.isRunning()).toBe(false);
  workers.resume();
  workers.concurrency = 1;
  expect(opened.map(({ paused }) => paused)).toEqual([false, true, true]);
  // Shards are served in rotation: the one with jobs must get its turn.
  workers.rotate();
  expect(opened.map(({ paused }) => paused)).toEqual([true, false, true]);
  workers.rotate();
  workers.rotate();
  expect(opened.map(({ paused }) => paused)).toEqual([false, true, true]);
  workers.concurrency = 6;
  workers.rotate();
  expect(opened.map(({ maxConcurrency, paused }) => [maxConcurrency, paused])).toEqual(
    Array(3).fill([2, false]),
  );
});

it('a shard that stays empty keeps one slot, and gets its share back when it has jobs', () => {
  const { opened, workers } = fakeShards();
  const seats = () => opened.map(({ maxConcurrency }) => maxConcurrency);
  workers.serve([0, 1, 2, 3], [2, 3]);
  expect(seats()).toEqual([25, 25, 1, 1]);
  expect(opened.some(({ paused }) => paused)).toBe(false);
  // What finds out whether iSMS is well again must not go to where nothing waits.
  workers.concurrency = 1;
  expect(opened.map(({ paused }) => paused)).toEqual([false, true, true, true]);
  workers.rotate();
  expect(opened.map(({ paused }) => paused)).toEqual([true, false, true, true]);
  workers.rotate();
  expect(opened.map(({ paused }) => paused)).toEqual([false, true, true, true]);
  workers.concurrency = 50;
  workers.serve([0, 1, 2, 3], [3]);
  expect(seats()).toEqual([17, 17, 16, 1]);
  expect(opened.some(({ paused }) => paused)).toBe(false);
});

it('a worker that serves only empty shards polls them for jobs', () => {
  const worker = fakeWorker();
  const workers = createShardWorkers(() => worker, 50);
  workers.serve([4], [4]);
  workers.rotate();
  workers.rotate();
  expect(worker).toMatchObject({ paused: false, maxConcurrency: 1 });
  workers.serve([4], []);
  expect(worker).toMatchObject({ paused: false, maxConcurrency: 50 });
});

it('a worker starts each job when it is fetched, and processes no more at a time than it may', async () => {
  const queue = new Queue(`eager-${randomUUID()}`, { connection: redis });
  cleanups.push(() => queue.close());
  await queue.addBulk(Array.from({ length: 60 }, () => ({ name: 'job', data: {} })));
  let running = 0;
  const full = Promise.withResolvers<number>();
  const seen: { fetched: number; running: number }[] = [];
  const worker = new EagerWorker(
    queue.name,
    async () => {
      running += 1;
      // On the worker's connection, so it runs before the worker's next fetch.
      const fetched = redis.llen(queue.toKey('active'));
      seen.push({ fetched: await fetched, running });
      // By the second reply, a fetch beyond the limit would have been made.
      if (running === 20) full.resolve(await redis.llen(queue.toKey('active')));
      await full.promise;
      running -= 1;
    },
    { connection: redis },
  );
  cleanups.push(() => worker.close());
  worker.setMaxConcurrency(20);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(60);
  expect(seen[0]?.fetched).toBe(1);
  expect(await full.promise).toBe(20);
  expect(Math.max(...seen.map((job) => job.running))).toBe(20);
  await expect.poll(() => queue.getJobCounts('completed')).toEqual({ completed: 60 });
});

it('a job that ends brings the next while its worker may process more', async () => {
  const queue = new Queue(`eager-${randomUUID()}`, { connection: redis });
  cleanups.push(() => queue.close());
  await queue.addBulk([1, 2].map(() => ({ name: 'job', data: {} })));
  const worker = new EagerWorker(queue.name, async () => {}, { connection: redis, autorun: false });
  cleanups.push(() => worker.close());
  worker.setMaxConcurrency(20);
  const token = 'token';
  const first = await worker.getNextJob(token);
  const limits: number[] = [];
  const next = await worker.processJob(first, token, () => limits.push(worker.concurrency) > 0);
  expect([...limits, worker.concurrency]).toEqual([20, 2]);
  expect(await worker.processJob(next as Job, token, () => false)).toBeUndefined();
  expect(worker.concurrency).toBe(1);
});

it('a worker serves shards of other processes, so that changing QUEUE_SHARDS loses no OTP', async () => {
  const scene = await createScene(redis);
  cleanups.push(() => scene.close());
  const more = createSendOtpQueue({ connection: redis, onError: () => {}, shards: 5 });
  cleanups.push(() => more.close());
  await scene.start();
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) {
    const id = await admitted(scene.store, { to: number(`01234560${10 + i}`) });
    const otp = await scene.store.otps.find('shop', id);
    if (otp) await more.add(otp);
    ids.push(id);
  }
  expect(await Promise.all(ids.map((id) => scene.settled(id)))).toEqual(Array(20).fill('sent'));
});

it('all shards together keep LIMIT_SEND_PER_SECOND, those of an earlier QUEUE_SHARDS included', async () => {
  const scene = await createScene(redis);
  cleanups.push(() => scene.close());
  const more = createSendOtpQueue({ connection: redis, onError: () => {}, shards: 4 });
  cleanups.push(() => more.close());
  const ids = [];
  for (let i = 0; i < 24; i++) ids.push(await admitted(scene.store, { to: number(`01234561${10 + i}`) }));
  const otps = await Promise.all(ids.map((id) => scene.store.otps.find('shop', id)));
  await more.add(...otps.filter((otp) => otp !== null));
  const began = performance.now();
  await scene.start({ everyMs: 60_000, sendsPerSecond: 8 });
  expect(await Promise.all(ids.map((id) => scene.settled(id)))).toEqual(Array(24).fill('sent'));
  // 24 at 8 a second; the first second's share goes out at once.
  expect(performance.now() - began).toBeGreaterThan(1_500);
});

describe('after QUEUE_SHARDS is lowered', () => {
  const emptied = async (scene: Scene) => await scene.queue.emptied(await scene.queue.known());

  it('unused shards get no share of the calls', async () => {
    const scene = await createScene(redis);
    cleanups.push(() => scene.close());
    await redis.flushdb();
    await announceShards(redis, 9);
    expect(await emptied(scene)).toHaveLength(8);
    const numbers = Array.from({ length: 100 }, (_, i) => number(`0123456${200 + i}`));
    await Promise.all(numbers.map((to) => scene.send({ to })));
    await scene.start({ everyMs: 60_000, sendsPerSecond: 18 });
    // A ninth of the calls would be two a second.
    const inThisSecond = async () => Number(await redis.get('{isms}:otp-send:calls'));
    await expect.poll(inThisSecond, { timeout: 20_000, interval: 10 }).toBeGreaterThan(2);
  });

  it('a shard counts as used while a job waits in it, and for a while after the last one', async () => {
    const scene = await createScene(redis);
    cleanups.push(() => scene.close());
    const more = createSendOtpQueue({ connection: redis, onError: () => {}, shards: 9 });
    cleanups.push(() => more.close());
    let otp: Otp | null = null;
    for (let i = 10; !otp || more.shardOf(otp.id) === 0; i++) {
      otp = await scene.store.otps.find('shop', await admitted(scene.store, { to: number(`01234563${i}`) }));
    }
    await more.add(otp);
    const { id } = otp;
    const shard = more.shardOf(id);
    expect(await emptied(scene)).not.toContain(shard);
    await scene.start();
    expect(await scene.settled(otp.id)).toBe('sent');
    await expect.poll(() => more.queues[shard]?.getJobState(id), { timeout: 10_000 }).toBe('completed');
    expect(await emptied(scene)).not.toContain(shard);
    await scene.queue.clean(0);
    expect(await emptied(scene)).toContain(shard);
  });
});

it('a shard whose master is unavailable counts as used, and delays no other shard', async () => {
  const cluster = await startRedisCluster();
  cleanups.push(() => Promise.all(cluster.servers.map((server) => server.stop())));
  const connection = connectForWork(cluster.url) as Cluster;
  connection.on('error', () => {});
  cleanups.push(async () => connection.disconnect());
  await vi.waitUntil(() => connection.status === 'ready', { timeout: 10_000 });
  await announceShards(connection, 9);
  const queue = createSendOtpQueue({ connection, onError: () => {}, shards: 3 });
  // A client that looks the slots up again knows of no master for a moment.
  const portOf = (key: string) =>
    vi.waitFor(() => masterOf(connection, key).options.port, { timeout: 30_000 });
  const home = await portOf('isms:{queues}:send-otp-shards');
  const shards = [3, 4, 5, 6, 7, 8];
  const ports = await Promise.all(shards.map((n) => portOf(`${shardName(n).prefix}:x`)));
  const away = ports.findIndex((port) => port !== home);
  expect(await queue.emptied(await queue.known())).toEqual(shards);
  await cluster.servers.find(({ port }) => port === ports[away])?.kill();
  expect(await queue.emptied(await queue.known())).not.toContain(shards[away]);
});
