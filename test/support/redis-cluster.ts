import type { Redis } from 'ioredis';
import { sleep } from './otps.js';
import { type RedisServer, type RedisServerOptions, startRedisServer } from './redis-server.js';

export interface RedisCluster {
  /** `redis+cluster://…`, all masters. */
  url: string;
  servers: RedisServer[];
}

const slotCount = 16_384;
const count = 3;

/** A Redis Cluster of three masters on this machine, with no replicas. */
export async function startRedisCluster(options: RedisServerOptions = {}): Promise<RedisCluster> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => startRedisServer({ ...options, cluster: true })),
  );
  const clients = servers.map((server) => server.connect());
  try {
    for (const [i, client] of clients.entries()) {
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * slotCount) / count));
      await client.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String((to ?? 0) - 1));
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
    }
    const busPort = async (client: Redis) =>
      String(((await client.config('GET', 'cluster-port')) as string[])[1]);
    for (const [i, client] of clients.slice(1).entries()) {
      const port = String(servers[i + 1]?.port);
      await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', port, await busPort(client));
    }
    const whole = ['cluster_state:ok', `cluster_known_nodes:${count}`, `cluster_slots_ok:${slotCount}`];
    const isWhole = async (client: Redis) => {
      const info = String(await client.call('CLUSTER', 'INFO')).split('\r\n');
      return whole.every((line) => info.includes(line));
    };
    for (const client of clients) while (!(await isWhole(client))) await sleep(50);
  } finally {
    for (const client of clients) client.disconnect();
  }
  return {
    url: `redis${options.tls ? 's' : ''}+cluster://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    servers,
  };
}
