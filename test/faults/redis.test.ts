import { execFileSync } from 'node:child_process';
import { readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import type { Otp } from '../../src/otp/otp.js';
import { faultRow, full, promisedMs } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { gatewayEnvironment, runCommand } from '../support/processes.js';
import { connectTo } from '../support/redis.js';
import type { RedisServer } from '../support/redis-server.js';
import { countByStatus, type Fleet, nthNumber, providerSaw, startFleet, withoutCall } from './fleet.js';
import { startSentinels } from './sentinels.js';
import { startTcpProxy } from './tcp-proxy.js';

const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

const strict = { MAX_RESENDS_AFTER_UNKNOWN: '0', ISMS_SEND_TIMEOUT_MS: '4000', WORKER_CONCURRENCY: '20' };

describe('replies of Redis that get lost after the command ran', { timeout: minutes(3) }, () => {
  it('make one OTP and one job per idempotency key, however often the app asks again', async () => {
    fleet = await startFleet(strict, { cluster: false });
    const proxy = await startTcpProxy(fleet.redis.servers[0].port);
    const api = await fleet.startApi(`redis://127.0.0.1:${proxy.port}`);
    proxy.loseReplies(7);
    const count = full ? 100 : 30;
    const ids: string[] = [];
    let requests = 0;
    for (let n = 0; n < count; n++) {
      for (let accepted = false; !accepted; requests++) {
        const reply = await api.post({ to: nthNumber(n).e164 }, `key-${n}`);
        accepted = reply.status === 202;
        const { id } = (await reply.json()) as { id: string };
        if (accepted) ids.push(id);
        else await sleep(20);
      }
    }
    proxy.loseReplies(0);
    const { single: jobs } = await fleet.queue.backlog();
    faultRow(
      `${count} OTPs requested by idempotency key until accepted, replies of Redis lost after the command ran`,
      { requests, lostReplies: proxy.lost, otps: new Set(ids).size, jobs },
      'S12',
    );
    expect(proxy.lost).toBeGreaterThan(count / 10);
    expect([new Set(ids).size, jobs]).toEqual([count, count]);
    await proxy.close();
  });

  it('send nothing twice when they are the workers’', async () => {
    fleet = await startFleet(strict, { cluster: false });
    fleet.simulator.state.change({ latencyMs: 50 });
    const proxy = await startTcpProxy(fleet.redis.servers[0].port);
    const enqueued = await fleet.enqueue(full ? 1_000 : 40);
    const throughProxy = gatewayEnvironment(`redis://127.0.0.1:${proxy.port}`, fleet.simulator);
    fleet.workers.push(runCommand('worker', { ...throughProxy, ...strict }));
    proxy.loseReplies(13);
    const otps = await fleet.settled(enqueued, minutes(2));
    const saw = providerSaw(fleet, otps);
    faultRow(
      `${otps.length} sends of a worker whose replies of Redis get lost, MAX_RESENDS_AFTER_UNKNOWN=0`,
      { ...countByStatus(otps), ...saw, lostReplies: proxy.lost },
      'S12',
    );
    expect(proxy.lost).toBeGreaterThan(4);
    expect(saw).toMatchObject({ duplicates: 0, mostCalls: 1 });
    await proxy.close();
  });
});

/** Counts provider calls over a while in which nothing may be sent, then lets `repair` happen; ms until work goes on. */
async function resumesAfter(
  repair: () => Promise<unknown>,
): Promise<{ callsMeanwhile: number; resumedMs: number }> {
  const { calls } = fleet.simulator.state;
  await sleep(1_500);
  const before = calls.send;
  await sleep(2_000);
  const callsMeanwhile = calls.send - before;
  await repair();
  const [repairedAt, since] = [Date.now(), calls.send];
  while (calls.send === since && Date.now() - repairedAt < 20_000) await sleep(10);
  return { callsMeanwhile, resumedMs: Date.now() - repairedAt };
}

const frozenMs = full ? 12_000 : 6_000;
/** Limits of a process are changed by prlimit, which other systems do not have. */
const linux = process.platform === 'linux';

/** Lets Redis refuse all writes in the middle of sends, and expects what is promised then, and when it is repaired. */
async function expectNoSends(
  scenario: string,
  count: number,
  { stop, repair }: Record<'stop' | 'repair', () => Promise<unknown>>,
): Promise<void> {
  fleet.simulator.state.change({ latencyMs: 100 });
  const api = await fleet.startApi();
  const enqueued = await fleet.enqueue(count);
  fleet.startWorker();
  while (fleet.simulator.state.calls.send < 50) await sleep(5);
  await stop();
  const refused = await api.post({ to: nthNumber(900_000).e164 });
  const found = await resumesAfter(repair);
  const otps = await fleet.settled(enqueued, minutes(1));
  const saw = providerSaw(fleet, otps);
  faultRow(scenario, { apiAnswers: refused.status, ...found, ...countByStatus(otps), ...saw }, 'S13');
  expect(refused.status).toBe(503);
  expect(found.callsMeanwhile).toBe(0);
  expect(found.resumedMs).toBeLessThan(promisedMs(5_000));
  expect(saw).toEqual({ duplicates: 0, mostCalls: 1 });
  expect(countByStatus(otps)).toEqual({ sent: otps.length });
}

describe('a Redis that takes no writes', { timeout: minutes(3) }, () => {
  it('out of memory: the API answers 503, nothing is sent without a claim, all goes on by itself', async () => {
    fleet = await startFleet(strict);
    const admin = await connectTo(fleet.redis.url);
    await expectNoSends('Redis out of memory in the middle', full ? 3_000 : 800, {
      stop: () => admin.config('SET', 'maxmemory', 1_000_000),
      repair: () => admin.config('SET', 'maxmemory', 0),
    });
    admin.disconnect();
  });

  it.runIf(linux).each([
    ['always', 'Redis ends itself, and is started again'],
    ['everysec', 'Redis refuses writes until there is space'],
  ] as const)('its disk full, appendfsync %s: the same, after %s', async (appendfsync, _) => {
    fleet = await startFleet(strict, { appendfsync, diskKib: 6_000, cluster: false });
    await expectNoSends(`Redis’s disk full in the middle, appendfsync ${appendfsync}`, 800, {
      stop: () => fillDisk(fleet.redis.url),
      repair: async () => {
        if (appendfsync === 'always') await fleet.redis.restart();
        else
          execFileSync('prlimit', [
            '--pid',
            String(fleet.redis.servers[0].pid),
            '--fsize=unlimited:unlimited',
          ]);
      },
    });
  });

  it('frozen: the API answers 503, and nothing is sent twice or lost when it thaws', async () => {
    fleet = await startFleet(strict);
    fleet.simulator.state.change({ latencyMs: 100 });
    const api = await fleet.startApi();
    const enqueued = await fleet.enqueue(full ? 5_000 : 800);
    fleet.startWorker();
    fleet.startWorker();
    while (fleet.simulator.state.calls.send < 100) await sleep(5);
    fleet.redis.freeze();
    const refused = await api.post({ to: nthNumber(900_000).e164 });
    await sleep(frozenMs);
    fleet.redis.thaw();
    const otps = await fleet.settled(enqueued, minutes(1));
    const saw = providerSaw(fleet, otps);
    faultRow(
      `Redis frozen for ${frozenMs / 1_000} s in the middle, MAX_RESENDS_AFTER_UNKNOWN=0`,
      { apiAnswers: refused.status, ...countByStatus(otps), ...saw },
      'S13',
    );
    expect(refused.status).toBe(503);
    expect(saw).toEqual({ duplicates: 0, mostCalls: 1 });
    expect((countByStatus(otps).sent ?? 0) + (countByStatus(otps).unknown ?? 0)).toBe(otps.length);
  });
});

/** Writes until Redis says no, or is gone. */
async function fillDisk(url: string): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
  redis.on('error', () => {});
  const block = 'x'.repeat(200_000);
  try {
    for (let n = 0; n < 100; n++) await redis.set('filler', block);
  } catch {
    redis.disconnect();
    return;
  }
  throw new Error('the disk of Redis did not get full');
}

/** At most one call for each OTP, and one more for each resend that is allowed. */
const resends = [0, 1] as const;
const withResends = (count: number) => ({ ...strict, MAX_RESENDS_AFTER_UNKNOWN: String(count) });

/** Every OTP ends; with a resend allowed, none ends unknown that was never called for. */
function expectNothingHeldBack(allowed: number, otps: Otp[]): void {
  const { sent = 0, unknown = 0, ...others } = countByStatus(otps);
  expect([sent + unknown, others]).toEqual([otps.length, {}]);
  expect(providerSaw(fleet, otps).mostCalls).toBeLessThanOrEqual(1 + allowed);
  if (allowed > 0) expect(withoutCall(fleet, otps)).toBe(0);
}

describe('a Redis that forgot its last moments', { timeout: minutes(3) }, () => {
  it.each(resends)(
    'up to 2 s, with %i resends: no crash, every OTP that it knows ends, and what was sent twice is counted',
    async (allowed) => {
      fleet = await startFleet(withResends(allowed), { appendfsync: 'everysec' });
      fleet.simulator.state.change({ latencyMs: 100 });
      const enqueued = await fleet.enqueue(full ? 3_000 : 900);
      const workers = [fleet.startWorker(), fleet.startWorker()];
      while (fleet.simulator.state.calls.send < 300) await sleep(5);
      const before = await Promise.all(fleet.redis.servers.map(({ dir }) => logFile(dir)));
      await sleep(2_000);
      await fleet.redis.kill();
      await Promise.all(before.map(({ path, size }) => truncate(path, size)));
      await fleet.redis.restart();
      const otps = await fleet.settled(enqueued, minutes(2));
      faultRow(
        `Redis killed and its log truncated by 2 s (everysec), MAX_RESENDS_AFTER_UNKNOWN=${allowed}`,
        { ...countByStatus(otps), ...providerSaw(fleet, otps), neverCalled: withoutCall(fleet, otps) },
        'S11',
      );
      expect(workers.map(({ child }) => child.exitCode)).toEqual([null, null]);
      expectNothingHeldBack(allowed, otps);
    },
  );

  it('sends every OTP that waited and had no call, with the default of one resend, once', async () => {
    fleet = await startFleet({ ISMS_SEND_TIMEOUT_MS: '4000' }, { appendfsync: 'everysec' });
    const count = full ? 600 : 200;
    const enqueued = await fleet.enqueue(count);
    await Promise.all(fleet.redis.servers.map(writtenToLog));
    await fleet.redis.kill();
    await fleet.redis.restart();
    const began = Date.now();
    fleet.startWorker();
    const otps = await fleet.settled(enqueued, minutes(2));
    const found = { ...countByStatus(otps), ...providerSaw(fleet, otps), sentWithinMs: Date.now() - began };
    faultRow(
      `${count} OTPs without a call, Redis killed with kill -9 (everysec), then a worker, MAX_RESENDS_AFTER_UNKNOWN=1`,
      found,
      'S11',
    );
    expect(found).toMatchObject({ sent: count, duplicates: 0, mostCalls: 1 });
  });
});

/** Resolves once a server has handed all writes to its log, which a busy disk may delay. */
async function writtenToLog(server: RedisServer): Promise<void> {
  const redis = server.connect();
  while (!/aof_buffer_length:0/.test(await redis.info('persistence'))) await sleep(5);
  redis.disconnect();
}

/** Redis's growing log of writes, and how long it is. */
async function logFile(dir: string): Promise<{ path: string; size: number }> {
  const directory = join(dir, 'appendonlydir');
  const name = (await readdir(directory)).find((file) => file.endsWith('.incr.aof')) ?? '';
  const path = join(directory, name);
  return { path, size: (await stat(path)).size };
}

describe('a master that dies with Sentinel watching', { timeout: minutes(4) }, () => {
  it.each(resends)(
    'is followed by its replica, with %i resends: API and workers go on by themselves',
    async (allowed) => {
      fleet = await startFleet(withResends(allowed), { cluster: false });
      fleet.simulator.state.change({ latencyMs: 100 });
      const sentinels = await startSentinels(fleet.redis.servers[0], { maxResendsAfterUnknown: allowed });
      const environment = gatewayEnvironment(sentinels.url, fleet.simulator);
      const api = await fleet.startApi(sentinels.url);
      const enqueued = await fleet.enqueue(full ? 5_000 : 1_000);
      fleet.workers.push(runCommand('worker', { ...environment, ...withResends(allowed) }));
      while (fleet.simulator.state.calls.send < 200) await sleep(5);
      await sentinels.replicated();
      const killedAt = Date.now();
      await fleet.redis.kill();
      let accepted = false;
      while (!accepted && Date.now() - killedAt < 30_000) {
        accepted = (await api.post({ to: nthNumber(900_000).e164 })).status === 202;
        if (!accepted) await sleep(100);
      }
      const acceptedMs = Date.now() - killedAt;
      const otps = await sentinels.settled(enqueued, minutes(2));
      faultRow(
        `the master killed, its replica promoted by Sentinel, MAX_RESENDS_AFTER_UNKNOWN=${allowed}`,
        {
          acceptingAgainAfterMs: acceptedMs,
          ...countByStatus(otps),
          ...providerSaw(fleet, otps),
          neverCalled: withoutCall(fleet, otps),
        },
        'S11',
      );
      await sentinels.stop();
      expect(accepted).toBe(true);
      expectNothingHeldBack(allowed, otps);
    },
  );
});
