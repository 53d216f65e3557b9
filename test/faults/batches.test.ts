import { afterEach, describe, expect, it } from 'vitest';
import { createBatchQueue } from '../../src/queues/batch.js';
import { faultRow, full } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
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

  it.each(Object.keys(disturbances))('loses and doubles nothing, and ends: %s', async (name) => {
    const { times, accepted, counts, byCalls } = await run(disturbances[name] as Disturb);
    // A code that was sent expires after five minutes.
    const { sent = 0, expired = 0, unknown = 0 } = counts ?? {};
    const tried = `a batch of ${count.toLocaleString('en')} OTPs, two workers × ${concurrency}, ${name}, MAX_RESENDS_AFTER_UNKNOWN=0`;
    faultRow(
      tried,
      { times, sent: sent + expired, unknown, numbersByCalls: byCalls },
      '0 sent twice, 0 lost; the batch ends',
    );
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
      'each line sent once',
    );
    expect(accepted).toBe(count);
    expect(byCalls).toEqual({ 1: count });
  });
});
