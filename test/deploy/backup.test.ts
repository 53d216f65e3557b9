import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterEach, expect, it } from 'vitest';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { accepted, admitted, claimed, number, testStore } from '../support/otps.js';
import { gatewayEnvironment, runCommand } from '../support/processes.js';
import { freePort, startRedisServer } from '../support/redis-server.js';
import { createScene } from '../support/workers.js';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const run = promisify(execFile);

/** A redis-server started by hand; resolves with what ends it. */
async function redisServer(port: number, dir: string, ...args: string[]): Promise<() => Promise<void>> {
  const child = spawn('redis-server', ['--port', String(port), '--dir', dir, ...args], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  for (let i = 0; i < 400; i++) {
    const { stdout } = await run('redis-cli', ['-p', String(port), 'ping']).catch(() => ({ stdout: '' }));
    if (stdout.includes('PONG')) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return async () => {
    child.kill();
    await exited;
  };
}

it.each([
  { maxResendsAfterUnknown: 1, ends: 'sent', calls: 20 },
  { maxResendsAfterUnknown: 0, ends: 'unknown', calls: 0 },
])(
  'a backup is restored as docs/operations.md says: what was sent is known, what waited then ends %o',
  {
    timeout: 60_000,
  },
  async ({ maxResendsAfterUnknown, ends, calls }) => {
    const original = await startRedisServer();
    stops.push(() => original.stop());
    const before = new Redis(original.url);
    const store = testStore(before);
    const queue = createSendOtpQueue({ connection: before, onError: () => {} });
    const sent: string[] = [];
    const waiting: string[] = [];
    for (let i = 10; i < 50; i++) {
      const id = await admitted(store, { to: number(`01234569${i}`), sendDeadlineSeconds: 600 });
      if (i % 2 === 0) {
        await store.sendAttempts.settle(await claimed(store, id), accepted(i));
        sent.push(id);
        continue;
      }
      const otp = await store.otps.find('shop', id);
      if (otp) await queue.add(otp);
      waiting.push(id);
    }
    const dir = mkdtempSync(join(tmpdir(), 'otp-backup-'));
    stops.push(async () => rmSync(dir, { recursive: true, force: true }));
    await run('redis-cli', ['-p', String(original.port), '--rdb', join(dir, 'backup.rdb')]);
    await queue.close();
    before.disconnect();
    await original.kill();

    // The steps of the page.
    const data = join(dir, 'data');
    mkdirSync(data);
    renameSync(join(dir, 'backup.rdb'), join(data, 'dump.rdb'));
    const port = await freePort();
    const stopFirst = await redisServer(port, data, '--appendonly', 'no', '--save', '');
    await run('redis-cli', ['-p', String(port), 'CONFIG', 'SET', 'appendonly', 'yes']);
    await expect
      .poll(async () => (await run('redis-cli', ['-p', String(port), 'INFO', 'persistence'])).stdout, {
        timeout: 20_000,
      })
      .toMatch(/aof_enabled:1[\s\S]*aof_rewrite_in_progress:0[\s\S]*aof_rewrite_scheduled:0/);
    await stopFirst();
    stops.push(
      await redisServer(
        port,
        data,
        '--appendonly',
        'yes',
        '--appendfsync',
        'always',
        '--save',
        '',
        '--maxmemory-policy',
        'noeviction',
      ),
    );

    const redis = new Redis({ port, maxRetriesPerRequest: null });
    stops.push(async () => redis.disconnect());
    const environment = gatewayEnvironment(`redis://127.0.0.1:${port}`, { endpoint: 'https://isms.test/' });
    const restored = runCommand(['redis', 'mark-restored'], environment);
    const [code] = await once(restored.child, 'close');
    expect(code).toBe(0);
    expect(restored.output).toContain('OTPs that wait in this Redis are marked');
    const scene = await createScene(redis, { maxResendsAfterUnknown });
    stops.push(() => scene.close());
    await scene.start();
    expect(await Promise.all(waiting.map((id) => scene.settled(id)))).toEqual(waiting.map(() => ends));
    expect(scene.simulator.state.calls.send).toBe(calls);
    const known = await Promise.all(sent.map((id) => scene.store.otps.find('shop', id)));
    expect(known.map((otp) => otp?.status)).toEqual(sent.map(() => 'sent'));
  },
);
