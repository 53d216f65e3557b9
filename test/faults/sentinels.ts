import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Otp } from '../../src/otp/otp.js';
import { sleep, testStore } from '../support/otps.js';
import { freePort, type RedisServer, startRedisServer, tlsArguments } from '../support/redis-server.js';
import { settled } from './fleet.js';
import { startTcpProxy } from './tcp-proxy.js';

/** A replica of a master and a Sentinel that watches both: with the master, three processes. */
export interface Sentinels {
  /** For REDIS_URL. */
  url: string;
  /** Resolves once the replica has all that the master has written. */
  replicated(): Promise<void>;
  /** Waits on the new master until every OTP has ended or been sent. */
  settled(otps: Otp[], withinMs: number): Promise<Otp[]>;
  stop(): Promise<void>;
}

export interface SentinelsOptions {
  /** As the processes under test have it. */
  maxResendsAfterUnknown?: number;
  /** Of Sentinel as clients see it; its events come at once. */
  repliesTakeMs?: number;
}

const config = (masterPort: number) => `
bind 127.0.0.1
sentinel monitor gateway 127.0.0.1 ${masterPort} 1
sentinel down-after-milliseconds gateway 1000
sentinel failover-timeout gateway 5000
`;

export async function startSentinels(
  master: RedisServer,
  { maxResendsAfterUnknown = 0, repliesTakeMs = 0 }: SentinelsOptions = {},
): Promise<Sentinels> {
  const tls = master.url.startsWith('rediss:');
  const replica = await startRedisServer({ tls });
  const [toMaster, toReplica] = [master.connect(), replica.connect()];
  for (const redis of [toMaster, toReplica]) redis.on('error', () => {});
  await toReplica.replicaof('127.0.0.1', master.port);
  while (!/master_link_status:up/.test(await toReplica.info('replication'))) await sleep(20);
  const dir = await mkdtemp(join(tmpdir(), 'otp-sentinel-'));
  const port = await freePort();
  const args = tls ? await tlsArguments(port, dir) : [['--port', String(port)]];
  const lines = args.map(([name = '', value]) => `${name.slice(2)} ${value}`);
  await writeFile(join(dir, 'sentinel.conf'), `${lines.join('\n')}${config(master.port)}`);
  const sentinel: ChildProcess = spawn('redis-server', [join(dir, 'sentinel.conf'), '--sentinel'], {
    stdio: 'ignore',
  });
  const toSentinel = master.connect({ port, retryStrategy: () => 50, maxRetriesPerRequest: null });
  toSentinel.on('error', () => {});
  while (!/slaves=1/.test(await toSentinel.info('sentinel'))) await sleep(50);
  const proxy = await startTcpProxy(port, repliesTakeMs);
  const store = testStore(toReplica, { maxResendsAfterUnknown, sendLeaseMs: 6_000, retentionMs: 3_600_000 });
  return {
    url: `redis${tls ? 's' : ''}+sentinel://127.0.0.1:${proxy.port}/gateway`,
    replicated: async () => {
      await toMaster.wait(1, 5_000);
    },
    settled: (otps, withinMs) => settled(store, otps, withinMs),
    stop: async () => {
      for (const redis of [toMaster, toReplica, toSentinel]) redis.disconnect();
      await proxy.close();
      sentinel.kill('SIGKILL');
      await once(sentinel, 'exit');
      await replica.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
