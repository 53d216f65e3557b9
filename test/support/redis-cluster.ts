import { Redis } from 'ioredis';
import { sleep } from './otps.js';
import { type RedisServer, startRedisServer } from './redis-server.js';

export interface RedisCluster {
  /** `redis+cluster://…`, all masters. */
  url: string;
  masters: RedisServer[];
  stop(): Promise<void>;
}

const slotCount = 16_384;

/** A Redis Cluster of so many masters on this machine, with no replicas. */
export async function startRedisCluster(count = 3): Promise<RedisCluster> {
  const masters = await Promise.all(Array.from({ length: count }, () => startRedisServer({ cluster: true })));
  const clients = masters.map(({ url }) => new Redis(url));
  try {
    for (const [i, client] of clients.entries()) {
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * slotCount) / count));
      await client.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String((to ?? 0) - 1));
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
    }
    const busPort = async (client: Redis) =>
      String(((await client.config('GET', 'cluster-port')) as string[])[1]);
    for (const [i, client] of clients.slice(1).entries()) {
      const port = String(masters[i + 1]?.port);
      await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', port, await busPort(client));
    }
    const isWhole = async (client: Redis) => {
      const info = String(await client.call('CLUSTER', 'INFO'));
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`);
    };
    for (const client of clients) while (!(await isWhole(client))) await sleep(50);
  } finally {
    for (const client of clients) client.disconnect();
  }
  return {
    url: `redis+cluster://${masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    masters,
    stop: async () => {
      await Promise.all(masters.map((master) => master.stop()));
    },
  };
}
