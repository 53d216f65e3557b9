import type { Cluster } from 'ioredis';
import { afterEach, expect, it, vi } from 'vitest';
import { connectForWork } from '../../src/main/redis.js';
import { eventTypes } from '../../src/otp/event.js';
import { partitions } from '../../src/otp/otp-id.js';
import { keys } from '../../src/store/keys.js';
import { masterOf, wantedEvents } from '../../src/store/script.js';
import { testStore } from '../support/otps.js';
import { startRedisCluster } from '../support/redis-cluster.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

it.each(['killed', 'frozen'])(
  'a master that is %s holds back its own events only, until it is there again',
  {
    timeout: 60_000,
  },
  async (outage) => {
    const cluster = await startRedisCluster();
    cleanups.push(() => Promise.all(cluster.servers.map((server) => server.stop())));
    const redis = connectForWork(cluster.url) as Cluster;
    redis.on('error', () => {});
    cleanups.push(async () => redis.disconnect());
    await vi.waitUntil(() => redis.status === 'ready', { timeout: 20_000 });
    const store = testStore(redis as never, {
      events: wantedEvents(eventTypes.filter((type) => type.startsWith('otp.'))),
    });
    const fields = { type: 'otp.sent', at: String(Date.now()), id: 'otp_1', app: 'shop', failure: '' };
    for (const tag of partitions) await redis.xadd(keys.events(tag), '*', ...Object.entries(fields).flat());
    expect(await store.events.read()).toHaveLength(64);

    const portOf = (tag: string) => masterOf(redis, keys.events(tag)).options.port;
    const away = cluster.servers[1];
    const lost = partitions.filter((tag) => portOf(tag) === away?.port).length;
    expect(lost).toBeGreaterThan(10);
    if (outage === 'killed') await away?.kill();
    else process.kill(away?.pid ?? 0, 'SIGSTOP');
    for (let turn = 0; turn < 2; turn++) {
      await expect.poll(async () => (await store.events.read()).length).toBe(64 - lost);
    }
    if (outage === 'killed') await away?.restart();
    else process.kill(away?.pid ?? 0, 'SIGCONT');
    await expect.poll(async () => (await store.events.read()).length).toBe(64);
  },
);
