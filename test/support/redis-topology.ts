import { type RedisCluster, startRedisCluster } from './redis-cluster.js';
import { type RedisServer, type RedisServerOptions, startRedisServer } from './redis-server.js';

const topologies = ['one', 'cluster'];
const topology = process.env['TEST_REDIS'] || 'one';
if (!topologies.includes(topology)) throw new Error(`TEST_REDIS is one of: ${topologies.join(', ')}`);

/** Whether the tests run on Redis Clusters of three masters (`TEST_REDIS=cluster`) instead of single servers. */
export const onCluster = topology === 'cluster';

/** A Redis of one's own: one server, or the three masters of a cluster. */
export interface RedisUnderTest {
  /** For REDIS_URL. */
  url: string;
  servers: [RedisServer, ...RedisServer[]];
  /** `kill -9` to every server. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Stops every server in its tracks, as a frozen machine would. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Starts what TEST_REDIS says, unless `cluster` says otherwise. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisUnderTest> {
  const cluster = options.cluster ?? onCluster;
  const { url, servers } = cluster ? await startRedisCluster(options) : await one(options);
  const all = (act: (server: RedisServer) => Promise<void>) => async () => {
    await Promise.all(servers.map(act));
  };
  const signal = (name: NodeJS.Signals) => () => {
    for (const { pid } of servers) process.kill(pid, name);
  };
  return {
    url,
    servers: servers as [RedisServer, ...RedisServer[]],
    kill: all((server) => server.kill()),
    restart: all((server) => server.restart()),
    freeze: signal('SIGSTOP'),
    thaw: signal('SIGCONT'),
    stop: all((server) => server.stop()),
  };
}

async function one(options: RedisServerOptions): Promise<RedisCluster> {
  const server = await startRedisServer(options);
  return { url: server.url, servers: [server] };
}
