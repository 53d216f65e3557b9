import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { withTimeout } from '../lib/with-timeout.js';
import type { Lifecycle } from './lifecycle.js';

const startWithinMs = 10_000;
const askEveryMs = 30;

/**
 * Starts a Redis on loopback with the settings of docker-compose.yml and its data in `directory`, and ends one that an
 * interrupted run left behind on the same data. Resolves with its URL; throws when it does not start.
 */
export async function startPrivateRedis(
  directory: string,
  password: string,
  lifecycle: Lifecycle,
): Promise<string> {
  await mkdir(directory, { recursive: true });
  await endLeftOver(directory, password);
  const port = await freePort();
  await writeFile(portFile(directory), String(port));
  // Settings go through standard input: the process list shows arguments, and one is a password.
  const child = spawn('redis-server', ['-'], { stdio: ['pipe', 'ignore', 'pipe'], detached: true });
  lifecycle.add({ close: () => end(child) });
  const failed = failure(child);
  child.stdin.end(settings(directory, port, password));
  const url = `redis://:${password}@127.0.0.1:${port}`;
  await Promise.race([answers(url), failed]);
  return url;
}

function settings(directory: string, port: number, password: string): string {
  return [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir "${directory}"`,
    `requirepass ${password}`,
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    'hz 100',
    '',
  ].join('\n');
}

const portFile = (directory: string) => join(directory, 'port');

/** Only a Redis of an earlier run accepts this password. */
async function endLeftOver(directory: string, password: string): Promise<void> {
  const port = Number(await readFile(portFile(directory), 'utf8').catch(() => '0'));
  if (!port) return;
  const redis = new Redis({ host: '127.0.0.1', port, password, retryStrategy: null, lazyConnect: true });
  redis.on('error', () => {});
  const gone = new Promise((resolve) => redis.once('end', resolve));
  try {
    await redis.connect();
    await redis.call('SHUTDOWN').catch(() => {});
    await gone;
  } catch {
    // No Redis answers on the port, or another one.
  } finally {
    redis.disconnect();
  }
}

async function answers(url: string): Promise<void> {
  const redis = new Redis(url, { retryStrategy: () => askEveryMs, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  const deadline = Date.now() + startWithinMs;
  try {
    for (;;) {
      const pong = await withTimeout(redis.ping(), 1_000).catch(() => null);
      if (pong === 'PONG') return;
      if (Date.now() > deadline)
        throw new Error(`redis-server did not answer within ${startWithinMs / 1_000} s`);
      await sleep(askEveryMs);
    }
  } finally {
    redis.disconnect();
  }
}

function failure(child: ChildProcess): Promise<never> {
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-500);
  });
  return new Promise((_, reject) => {
    child.once('error', (error) => reject(new Error(`redis-server cannot be started: ${error.message}`)));
    child.once('exit', () => reject(new Error(`redis-server ended at once. ${said}`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
