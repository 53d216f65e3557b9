import { afterEach, describe, expect, it } from 'vitest';
import { createOtpProducer } from '../../src/index.js';
import { createBatchQueue } from '../../src/queues/batch.js';
import { faultRow, full, promisedMs } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { gatewayEnvironment } from '../support/processes.js';
import { connectTo } from '../support/redis.js';
import { apiKey, type Fleet, type FleetApi, startFleet } from './fleet.js';

const minutes = (n: number) => n * 60_000;
const count = full ? 50_000 : 2_000;
const everyMs = full ? 2_000 : 700;
const concurrency = full ? 50 : 20;
const nth = (n: number) => `+6012${String(n).padStart(7, '0')}`;

let fleet: Fleet;
afterEach(() => fleet.close());

/** Uploads all lines; null where the API ended meanwhile. */
async function upload({ url }: FleetApi): Promise<{ batchId: string; accepted: number } | null> {
  const body = Array.from({ length: count }, (_, n) => `{"to":"${nth(n)}"}\n`).join('');
  const headers = {
    Authorization: `Bearer ${apiKey}`,
    'Content-Type': 'application/x-ndjson',
    'Idempotency-Key': 'one-batch',
  };
  try {
    const answer = await fetch(`${url}/v1/otps/bulk`, { method: 'POST', headers, body });
    const lines = (await answer.text()).trimEnd().split('\n');
    return JSON.parse(lines.at(-1) ?? '').summary ?? null;
  } catch {
    return null;
  }
}

/** How often each number's send was called. */
function countCalls(): Uint8Array {
  const calls = new Uint8Array(count);
  fleet.simulator.watch((target) => {
    const [, n] = /[?&]mobile=12(\d{7})\b/.exec(target) ?? [];
    if (n !== undefined) calls[Number(n)] = (calls[Number(n)] ?? 0) + 1;
  });
  return calls;
}

interface Counts {
  queued: number;
  sending: number;
  sent: number;
  expired: number;
  unknown: number;
}

/** What happens again and again while a batch is released. */
type Disturb = (deleteJob: () => Promise<void>) => Promise<void>;

const disturbances: Record<string, Disturb> = {
  'kill -9 of one of two workers every 2 s': async () => {
    await fleet.ready(2);
    await fleet.workers.at(-1)?.end('SIGKILL');
    fleet.startWorker();
  },
  'its job deleted every 2 s': (deleteJob) => deleteJob(),
  'Redis killed with kill -9 and restarted every 2 s': async () => {
    await fleet.redis.kill();
    await fleet.redis.restart();
  },
};

describe(`a batch of ${count.toLocaleString('en')} OTPs`, { timeout: minutes(20) }, () => {
  const run = async (disturb: Disturb) => {
    fleet = await startFleet({
      ...{ MAX_RESENDS_AFTER_UNKNOWN: '0', ISMS_SEND_TIMEOUT_MS: '8000' },
      ...{ WORKER_CONCURRENCY: String(concurrency), BULK_SEND_DEADLINE_SECONDS: '3600' },
    });
    fleet.simulator.state.change({ credits: 10_000_000, latencyMs: { min: 20, max: 60 } });
    const calls = countCalls();
    const api = await fleet.startApi();
    for (let i = 0; i < 2; i++) fleet.startWorker();
    let summary = await upload(api);
    const { batchId = '' } = summary ?? {};
    const read = async () => {
      const { counts } = (await api.get(`/v1/batches/${batchId}`).catch(() => ({}))) as { counts?: Counts };
      return counts;
    };
    const client = await connectTo(fleet.redis.url);
    const { queue } = createBatchQueue(client, () => {});
    const deleteJob = async () => {
      // A job that a worker holds cannot be deleted.
      await queue.remove(batchId).catch(() => {});
    };
    let times = 0;
    let counts = await read();
    const isOver = () => counts !== undefined && counts.queued + counts.sending === 0;
    while (!isOver()) {
      await sleep(everyMs);
      counts = await read();
      if (isOver() || calls.reduce((sum, each) => sum + each, 0) > 0.9 * count) {
        counts = await read();
        continue;
      }
      await disturb(deleteJob);
      times += 1;
      if (summary?.accepted !== count) summary = await upload(api);
    }
    await queue.close();
    client.disconnect();
    const byCalls: Record<number, number> = {};
    for (const one of calls) byCalls[one] = (byCalls[one] ?? 0) + 1;
    return { times, accepted: summary?.accepted, counts, byCalls };
  };

  it.each(Object.keys(disturbances))('loses nothing, sends nothing twice, and ends: %s', async (name) => {
    const { times, accepted, counts, byCalls } = await run(disturbances[name] as Disturb);
    // A code that was sent expires after five minutes.
    const { sent = 0, expired = 0, unknown = 0 } = counts ?? {};
    const scenario = `a batch of ${count.toLocaleString('en')} OTPs, two workers × ${concurrency}, ${name}, MAX_RESENDS_AFTER_UNKNOWN=0`;
    faultRow(scenario, { times, sent: sent + expired, unknown, numbersByCalls: byCalls }, 'A10');
    expect(times).toBeGreaterThan(0);
    expect(accepted).toBe(count);
    expect(sent + expired + unknown).toBe(count);
    expect(byCalls[0] ?? 0).toBeLessThanOrEqual(unknown);
    expect(Object.keys(byCalls).every((calls) => Number(calls) <= 1)).toBe(true);
    expect(unknown).toBeLessThanOrEqual(times * 2 * concurrency);
  });

  it('is uploaded again after the API was killed in the upload, and each line is sent once', async () => {
    fleet = await startFleet({ MAX_RESENDS_AFTER_UNKNOWN: '0', WORKER_CONCURRENCY: String(concurrency) });
    fleet.simulator.state.change({ credits: 10_000_000, latencyMs: 20 });
    const calls = countCalls();
    fleet.startWorker();
    let kills = 0;
    let summary: Awaited<ReturnType<typeof upload>> = null;
    let api = await fleet.startApi();
    while (summary === null) {
      const uploading = upload(api);
      if (kills < 3) {
        const called = () => calls.reduce((sum, each) => sum + each, 0);
        const before = called();
        // Lines of an upload that still comes are sent already.
        while (called() === before) await sleep(5);
        await fleet.workers.at(-1)?.end('SIGKILL');
        kills += 1;
        api = await fleet.startApi();
      }
      summary = await uploading;
    }
    const { batchId, accepted } = summary;
    let counts: Counts | undefined;
    do {
      await sleep(200);
      counts = ((await api.get(`/v1/batches/${batchId}`)) as { counts?: Counts }).counts;
    } while (!counts || counts.queued + counts.sending > 0);
    const byCalls: Record<number, number> = {};
    for (const one of calls) byCalls[one] = (byCalls[one] ?? 0) + 1;
    faultRow(
      `an upload of ${count.toLocaleString('en')} OTPs, the API killed with kill -9 in it ${kills} times, sent again each time`,
      { sent: counts.sent + counts.expired, numbersByCalls: byCalls },
      'A10',
    );
    expect(accepted).toBe(count);
    expect(byCalls).toEqual({ 1: count });
  });

  it('of 1,000 lines at 50 a second takes 20 s with four workers, and none of it leaves while it is paused', async () => {
    const lines = full ? 1_000 : 100;
    fleet = await startFleet({ MAX_RESENDS_AFTER_UNKNOWN: '0' });
    const calledAt: number[] = [];
    fleet.simulator.watch((target) => {
      if (target.includes('mobile=')) calledAt.push(performance.now());
    });
    const api = await fleet.startApi();
    for (let i = 0; i < 4; i++) fleet.startWorker();
    while ((await fleet.queue.queues[0].getWorkers()).length < 4) await sleep(50);
    const otps = Array.from({ length: lines }, (_, n) => ({ to: nth(n) }));
    const ask = async (method: string, path: string, body: object) => {
      const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
      const answer = await fetch(`${api.url}${path}`, { method, headers, body: JSON.stringify(body) });
      return (await answer.json()) as { batchId?: string };
    };
    const startAt = Date.now() + 3_000;
    const began = performance.now();
    const asked = { otps, perSecond: 50, startAt: new Date(startAt).toISOString() };
    const { batchId } = await ask('POST', '/v1/otps/bulk', asked);
    while (calledAt.length < lines) await sleep(50);
    const spanMs = (calledAt.at(-1) ?? 0) - (calledAt[0] ?? 0);
    const startedAfterMs = (calledAt[0] ?? 0) - began;

    const other = Array.from({ length: lines }, (_, n) => ({ to: nth(lines + n) }));
    const paused = await ask('POST', '/v1/otps/bulk', { otps: other, perSecond: 50 });
    while (calledAt.length < 1.5 * lines) await sleep(20);
    const pausedAt = performance.now();
    await ask('PATCH', `/v1/batches/${paused.batchId}`, { paused: true });
    while (performance.now() - pausedAt < 4_000) await sleep(50);
    const late = calledAt.filter((at) => at > pausedAt + 2_000).length;
    await ask('PATCH', `/v1/batches/${paused.batchId}`, { paused: false });
    while (calledAt.length < 2 * lines) await sleep(50);
    faultRow(
      `${lines.toLocaleString('en')} lines at 50 a second from a start in 3 s, four workers; as many again, paused in the middle for 4 s`,
      { spanMs: Math.round(spanMs), startedAfterMs: Math.round(startedAfterMs), sentLateInThePause: late },
      'A10',
    );
    expect(batchId).toBeDefined();
    expect(startedAfterMs).toBeGreaterThanOrEqual(2_900);
    expect(spanMs).toBeGreaterThan(((lines - 1) * 1_000) / 50 - 1_000);
    expect(spanMs).toBeLessThan(((lines - 1) * 1_000) / 50 + promisedMs(1_000));
    expect(late).toBe(0);
    expect(calledAt).toHaveLength(2 * lines);
  });
});

describe('three apps, one with many batches, one with one, one with single OTPs', {
  timeout: minutes(10),
}, () => {
  const lines = full ? 20_000 : 800;
  const batchSizes = full ? [2_000, 100] : [80];

  it.each(batchSizes)(
    'get equal shares of the sends, and single OTPs are sent at once: batches of %i',
    async (size) => {
      // Shares are equal over several windows of released lines, so at small size the sends are slow, and the window small.
      const pace = full ? { concurrency: 50, latencyMs: 50 } : { concurrency: 5, latencyMs: 100 };
      fleet = await startFleet({
        MAX_RESENDS_AFTER_UNKNOWN: '0',
        WORKER_CONCURRENCY: String(pace.concurrency),
      });
      fleet.simulator.state.change({ credits: 10_000_000, latencyMs: pace.latencyMs });
      const sent = { mall: 0, bank: 0 };
      fleet.simulator.watch((target) => {
        const [, n] = /[?&]mobile=12(\d{7})\b/.exec(target) ?? [];
        if (n !== undefined && Number(n) < 2 * lines) sent[Number(n) < lines ? 'mall' : 'bank'] += 1;
      });
      const api = await fleet.startApi();
      const env = { ...gatewayEnvironment(fleet.redis.url, fleet.simulator), API_KEYS: '' };
      const producers = ['mall', 'bank'].map((app) => createOtpProducer({ app, env }));
      const otps = (from: number, length: number) =>
        Array.from({ length }, (_, n) => ({ to: nth(from + n) }));
      for (let from = 0; from < lines; from += size) await producers[0]?.sendMany(otps(from, size));
      await producers[1]?.sendMany(otps(lines, lines));
      for (let i = 0; i < 4; i++) fleet.startWorker();
      while (sent.bank < lines / 10) await sleep(20);
      const before = { ...sent };
      const waits: number[] = [];
      for (let n = 2 * lines; Math.max(sent.bank, sent.mall) < 0.9 * lines; n++) {
        const asked = performance.now();
        expect((await api.post({ to: nth(n) })).status).toBe(202);
        while (fleet.simulator.state.number(nth(n)).calls === 0) await sleep(5);
        waits.push(performance.now() - asked);
      }
      const share = (sent.mall - before.mall) / (sent.bank - before.bank);
      const p99Ms = waits.sort((a, b) => a - b)[Math.floor(waits.length * 0.99)] ?? Number.NaN;
      for (const producer of producers) await producer.close();
      faultRow(
        `three apps: ${lines / size} batches of ${size.toLocaleString('en')}, one of ${lines.toLocaleString('en')}, and single OTPs, four workers`,
        {
          shareOfManyBatches: `${Math.round(share * 100)} %`,
          singles: waits.length,
          singlesP99Ms: Math.round(p99Ms),
        },
        'A10',
      );
      expect(share).toBeGreaterThan(full ? 0.9 : 0.5);
      expect(share).toBeLessThan(full ? 1.1 : 2);
      expect(p99Ms).toBeLessThan(promisedMs(1_000));
    },
  );
});
