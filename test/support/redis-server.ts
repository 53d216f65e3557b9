import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis, type RedisOptions } from 'ioredis';
import { selfSigned } from './self-signed.js';

type ConnectOptions = Omit<RedisOptions, 'replyMapping'>;

export interface RedisServer {
  url: string;
  port: number;
  dir: string;
  pid: number;
  /** A connection to it, as a test looks at it with. */
  connect(options?: ConnectOptions): Redis;
  /** `kill -9`, then waits until the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data, this time with space on its disk. */
  restart(): Promise<void>;
  /** Ends it and deletes its data. */
  stop(): Promise<void>;
}

/**
 * A TCP port that is free on loopback, and the next one if two are asked for. They are below those that
 * systems give to outgoing connections (from 32,768 on Linux): one of these may take a port that is free for
 * a moment, such as that of a server that was killed and is to start again.
 */
export async function freePort(ports: 1 | 2 = 1): Promise<number> {
  const first = randomInt(10_000, 32_000);
  const free = (await isFree(first)) && (ports === 1 || (await isFree(first + 1)));
  return free ? first : await freePort(ports);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  return await once(server, 'listening').then(
    async () => {
      server.close();
      await once(server, 'close');
      return true;
    },
    () => false,
  );
}

export interface RedisServerOptions {
  appendfsync?: 'always' | 'everysec';
  /** No file of it may grow past so many KiB: what a full disk looks like to it. */
  diskKib?: number;
  /** A master of a Redis Cluster, with no slots yet. */
  cluster?: boolean;
  /** Encrypted connections only, with the tests' certificate. */
  tls?: boolean;
}

/** Between finding a port free and listening on it, another process may take it. */
const mostStarts = 5;

/** A real Redis of its own, set up like the one we ship (docker-compose.yml). */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  for (let starts = 1; ; starts += 1) {
    const started = await startOnce(options).catch((error: unknown) => {
      if (!(error instanceof EndedAtOnce) || starts === mostStarts) throw error;
      return null;
    });
    if (started) return started;
  }
}

class EndedAtOnce extends Error {}

async function startOnce(options: RedisServerOptions): Promise<RedisServer> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'otp-redis-'));
  const args = [
    ...(options.tls ? await tlsArguments(port, dir) : [['--port', String(port)]]),
    ['--bind', '127.0.0.1'],
    ['--dir', dir],
    ['--appendonly', 'yes'],
    ['--appendfsync', options.appendfsync ?? 'always'],
    ['--save', ''],
    ['--maxmemory-policy', 'noeviction'],
    ['--hz', '100'],
    ['--repl-diskless-sync-delay', '0'],
    ['--cluster-enabled', options.cluster ? 'yes' : 'no'],
    // Its usual place, 10,000 above, may be past the last port.
    ...(options.cluster
      ? [
          ['--cluster-port', String(await freePort())],
          ['--cluster-require-full-coverage', 'no'],
          ['--cluster-node-timeout', '2000'],
        ]
      : []),
  ].flat();
  const connect = (more: ConnectOptions = {}) =>
    new Redis({ port, host: '127.0.0.1', ...(options.tls && { tls: { ca: selfSigned.cert } }), ...more });
  let child: ChildProcess;
  const up = async (diskKib?: number) => {
    // Writing past the limit then fails with an error, as on a full disk, instead of killing the process.
    const full = `trap '' XFSZ; ulimit -S -f ${(diskKib ?? 0) * 2}; exec redis-server "$@"`;
    child =
      diskKib === undefined
        ? spawn('redis-server', args, { stdio: 'ignore' })
        : spawn('sh', ['-c', full, 'sh', ...args], { stdio: 'ignore' });
    const runs = () => child.exitCode === null && child.signalCode === null;
    await answering(connect({ retryStrategy: () => 20, maxRetriesPerRequest: 0 }), runs);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  };
  await up(options.diskKib);
  return {
    url: `redis${options.tls ? 's' : ''}://127.0.0.1:${port}`,
    port,
    dir,
    connect,
    get pid() {
      return child.pid ?? 0;
    },
    kill: () => end('SIGKILL'),
    restart: () => up(),
    stop: async () => {
      await end('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Settings of a server, or of a Sentinel, that speaks TLS only. */
export async function tlsArguments(port: number, dir: string): Promise<[string, string][]> {
  const [cert, key] = [join(dir, 'tls.crt'), join(dir, 'tls.key')];
  await Promise.all([writeFile(cert, selfSigned.cert), writeFile(key, selfSigned.key)]);
  return [
    ['--port', '0'],
    ['--tls-port', String(port)],
    ['--tls-cert-file', cert],
    ['--tls-key-file', key],
    ['--tls-ca-cert-file', cert],
    ['--tls-auth-clients', 'no'],
    ['--tls-replication', 'yes'],
    ['--tls-cluster', 'yes'],
  ];
}

async function answering(redis: Redis, runs: () => boolean): Promise<void> {
  redis.on('error', () => {});
  try {
    do {
      await new Promise((r) => setTimeout(r, 20));
      // Whoever answers on its port then is not this one.
      if (!runs()) throw new EndedAtOnce('redis-server ended before it answered');
    } while ((await redis.ping().catch(() => null)) !== 'PONG');
    if (!runs()) throw new EndedAtOnce('redis-server ended before it answered');
  } finally {
    redis.disconnect();
  }
}
