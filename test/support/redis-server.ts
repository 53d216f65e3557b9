import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

export interface RedisServer {
  url: string;
  port: number;
  dir: string;
  pid: number;
  /** `kill -9`, then waits until the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data, this time with room on its disk. */
  restart(): Promise<void>;
  /** Ends it and deletes its data. */
  stop(): Promise<void>;
}

/** A free TCP port on loopback. */
export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject()));
    });
  });
}

export interface RedisServerOptions {
  appendfsync?: 'always' | 'everysec';
  /** No file of it may grow past so many KiB: what a full disk looks like to it. */
  diskKib?: number;
  /** A master of a Redis Cluster, with no slots yet. */
  cluster?: boolean;
}

/** A real Redis of its own, set up like the one we ship (docker-compose.yml). */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'otp-redis-'));
  const args = [
    ['--port', String(port)],
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
    ...(options.cluster ? [['--cluster-port', String(await freePort())]] : []),
  ].flat();
  let child: ChildProcess;
  const up = async (diskKib?: number) => {
    // Writing past the limit then fails with an error, as on a full disk, instead of killing the process.
    const full = `trap '' XFSZ; ulimit -S -f ${(diskKib ?? 0) * 2}; exec redis-server "$@"`;
    child =
      diskKib === undefined
        ? spawn('redis-server', args, { stdio: 'ignore' })
        : spawn('sh', ['-c', full, 'sh', ...args], { stdio: 'ignore' });
    await answering(port);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  };
  await up(options.diskKib);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
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

async function answering(port: number): Promise<void> {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  try {
    while ((await redis.ping().catch(() => null)) !== 'PONG') await new Promise((r) => setTimeout(r, 20));
  } finally {
    redis.disconnect();
  }
}
