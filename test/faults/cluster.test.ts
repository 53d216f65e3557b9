import { afterEach, describe, expect, it } from 'vitest';
import { faultRow, full, promisedMs } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import type { RedisServer } from '../support/redis-server.js';
import { countByStatus, type Fleet, type FleetApi, nthNumber, providerSaw, startFleet } from './fleet.js';

const minutes = (n: number) => n * 60_000;
/** Past the time after which the other masters know that one has failed. */
const awayMs = 5_000;
/** As many as an app may have under way. */
const uploads = 4;
const linesPerUpload = 20;

let fleet: Fleet;
afterEach(() => fleet.close());

type Outage = 'killed' | 'frozen';

/** What went on while one master was away, and how long it took until all went on. */
interface Meanwhile {
  sent: number;
  /** Of the single OTPs that were asked for. */
  acceptedShare: number;
  /** Of the lines of uploads. */
  bulkShare: number;
  ready: boolean;
  resumedMs: number;
}

let asked = 0;
/** Numbers of many ranges, beyond those that were enqueued before. */
const next = () => nthNumber(20_000 + ((asked++ * 10_007) % 980_000)).e164;
/** On a slow machine, those enqueued before take longer than a default deadline: that alone would be a reason to refuse. */
const single = () => ({ to: next(), sendDeadlineSeconds: 1_800 });

async function begin(master: RedisServer, outage: Outage): Promise<void> {
  if (outage === 'killed') await master.kill();
  else process.kill(master.pid, 'SIGSTOP');
}

async function end(master: RedisServer, outage: Outage): Promise<void> {
  if (outage === 'killed') await master.restart();
  else process.kill(master.pid, 'SIGCONT');
}

async function takeAway(master: RedisServer, outage: Outage, api: FleetApi): Promise<Meanwhile> {
  const { calls } = fleet.simulator.state;
  await begin(master, outage);
  const began = Date.now();
  // What had its claim already is sent in the first moments.
  await sleep(500);
  const before = calls.send;
  const statuses: number[] = [];
  // An upload's lines are listed with one master, so that each upload stands or falls with that, too.
  const bulk = Promise.all(
    Array.from({ length: uploads }, () => api.postBulk(Array.from({ length: linesPerUpload }, next))),
  );
  while (Date.now() - began < awayMs) {
    const some = await Promise.all(Array.from({ length: 4 }, () => api.post(single())));
    statuses.push(...some.map(({ status }) => status));
    await sleep(100);
  }
  const ready = (await fetch(`${api.url}/readyz`)).ok;
  const meanwhile = {
    sent: calls.send - before,
    acceptedShare: statuses.filter((status) => status === 202).length / statuses.length,
    bulkShare: (await bulk).reduce((sum, count) => sum + count, 0) / (uploads * linesPerUpload),
    ready,
  };
  expect(statuses.filter((status) => status !== 202 && status !== 503)).toEqual([]);
  await end(master, outage);
  const [back, since] = [Date.now(), calls.send];
  let accepted = false;
  while ((calls.send < since + 50 || !accepted) && Date.now() - back < 20_000) {
    const some = await Promise.all(Array.from({ length: 9 }, () => api.post(single())));
    accepted = some.every(({ status }) => status === 202);
    await sleep(10);
  }
  return { ...meanwhile, resumedMs: Date.now() - back };
}

const outages: Outage[][] = full
  ? [
      ['killed', 'killed', 'killed'],
      ['frozen', 'frozen', 'frozen'],
    ]
  : [['killed', 'frozen', 'killed']];

describe('a master of a Redis Cluster that is away', { timeout: minutes(8) }, () => {
  it.each(outages)(
    '(%s, %s, %s) stops its own OTPs only, and nothing is sent twice or lost',
    async (...kinds) => {
      // An attempt that outlives the outage: one that ran out meanwhile would rightly be unknown.
      const settings = {
        MAX_RESENDS_AFTER_UNKNOWN: '0',
        ISMS_SEND_TIMEOUT_MS: '12000',
        WORKER_CONCURRENCY: '30',
      };
      fleet = await startFleet({ ...settings, QUEUE_SHARDS: '6' }, { cluster: true });
      fleet.simulator.state.change({ latencyMs: 400 });
      const api = await fleet.startApi();
      const enqueued = await fleet.enqueue(full ? 10_000 : 5_000);
      const workers = [fleet.startWorker(), fleet.startWorker()];
      while (fleet.simulator.state.calls.send < 100) await sleep(5);
      const found: Meanwhile[] = [];
      for (const [i, master] of fleet.redis.servers.entries()) {
        found.push(await takeAway(master, kinds[i] ?? 'killed', api));
        expect(fleet.simulator.state.stats().numbers, 'work left to interrupt').toBeLessThan(enqueued.length);
      }
      const otps = await fleet.settled(enqueued, minutes(3));
      const saw = providerSaw(fleet, otps);
      const percent = (share: number) => `${Math.round(share * 100)} %`;
      faultRow(
        `${otps.length} OTPs, each master of a Redis Cluster in turn away for ${awayMs / 1_000} s (${kinds.join(', ')}), MAX_RESENDS_AFTER_UNKNOWN=0`,
        {
          ...countByStatus(otps),
          ...saw,
          sentMeanwhile: found.map(({ sent }) => sent),
          singlesAccepted: found.map(({ acceptedShare }) => percent(acceptedShare)),
          bulkAccepted: found.map(({ bulkShare }) => percent(bulkShare)),
          ready: found.map(({ ready }) => ready),
          resumedWithinMs: Math.max(...found.map(({ resumedMs }) => resumedMs)),
        },
        'S14',
      );
      expect(workers.map(({ child }) => child.exitCode)).toEqual([null, null]);
      expect(saw).toEqual({ duplicates: 0, mostCalls: 1 });
      expect(countByStatus(otps)).toEqual({ sent: otps.length });
      expect(Math.max(...found.map(({ bulkShare }) => bulkShare))).toBeGreaterThan(0.1);
      for (const { sent, acceptedShare, ready, resumedMs } of found) {
        expect(sent).toBeGreaterThan(100);
        expect(acceptedShare).toBeGreaterThan(0.25);
        expect(ready).toBe(true);
        expect(resumedMs).toBeLessThan(promisedMs(10_000));
      }
    },
  );
});
