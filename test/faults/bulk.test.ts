import { Readable } from 'node:stream';
import { Client } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { faultRow, full, promisedMs } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { apiKey, type Fleet, type FleetApi, startFleet } from './fleet.js';

const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

const count = full ? 1_000_000 : 5_000;
const singleEveryMs = 50;
const patienceMs = 10_000;
const firstSingle = 2_000_000;
/** The n-th of ten million Malaysian mobile numbers. */
const nth = (n: number) => `+6012${String(n).padStart(7, '0')}`;

/** Uploads one line for each number, as fast as they are taken; what it made, and how the lines were answered. */
async function upload({ url }: FleetApi): Promise<{ batch: string; answers: Record<string, number> }> {
  const client = new Client(url, { headersTimeout: 0, bodyTimeout: 0 });
  const lines = function* () {
    for (let first = 0; first < count; first += 500) {
      yield Array.from({ length: 500 }, (_, i) => `{"to":"${nth(first + i)}"}\n`).join('');
    }
  };
  const { statusCode, headers, body } = await client.request({
    method: 'POST',
    path: '/v1/otps/bulk',
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/x-ndjson',
      'idempotency-key': 'a-long-upload',
    },
    body: Readable.from(lines()),
  });
  expect(statusCode).toBe(202);
  const answers: Record<string, number> = {};
  let rest = '';
  body.setEncoding('utf8');
  for await (const text of body) {
    const answered = `${rest}${text}`.split('\n');
    rest = answered.pop() ?? '';
    for (const line of answered) {
      const { id, code = id ? 'accepted' : 'summary' } = JSON.parse(line) as { id?: string; code?: string };
      answers[code] = (answers[code] ?? 0) + 1;
    }
  }
  await client.close();
  return { batch: String(headers['location']), answers };
}

/** How often each number's send was called, by the n of `nth`. The simulator itself forgets after a while. */
function countCalls(): Uint8Array {
  const calls = new Uint8Array(firstSingle + count);
  fleet.simulator.watch((target) => {
    const [, n] = /[?&]mobile=12(\d{7})\b/.exec(target) ?? [];
    if (n !== undefined) calls[Number(n)] = (calls[Number(n)] ?? 0) + 1;
  });
  return calls;
}

/** Asks for single OTPs, one after the other, until told to stop; the ms that each took to its call of the provider. */
function sendSingles(api: FleetApi) {
  const tookMs: number[] = [];
  const waiting: Promise<void>[] = [];
  const { state } = fleet.simulator;
  let stopped = false;
  const sendOne = async (to: string) => {
    const began = performance.now();
    const { status } = await api.post({ to });
    expect(status).toBe(202);
    while (state.number(to).calls === 0 && performance.now() - began < patienceMs) await sleep(5);
    tookMs.push(performance.now() - began);
  };
  const loop = (async () => {
    for (let n = firstSingle; !stopped; n++) {
      const one = sendOne(nth(n));
      // Looked at when all have come.
      one.catch(() => {});
      waiting.push(one);
      await sleep(singleEveryMs);
    }
  })();
  return async () => {
    stopped = true;
    await loop;
    await Promise.all(waiting);
    return tookMs.sort((a, b) => a - b);
  };
}

describe(`${count.toLocaleString('en')} OTPs in one upload`, { timeout: minutes(60) }, () => {
  it('delay no single OTP, and are each sent exactly once by four workers', async () => {
    fleet = await startFleet({ MAX_RESENDS_AFTER_UNKNOWN: '0' });
    fleet.simulator.state.change({ credits: 10_000_000, latencyMs: 20 });
    const callsOf = countCalls();
    const api = await fleet.startApi();
    for (let i = 0; i < 4; i++) fleet.startWorker();
    while ((await fleet.queue.queues[0].getWorkers()).length < 4) await sleep(50);
    const stop = sendSingles(api);
    const began = performance.now();
    const { batch, answers } = await upload(api);
    const uploadedS = (performance.now() - began) / 1_000;
    const tookMs = await stop();
    const p99Ms = tookMs[Math.floor(tookMs.length * 0.99)] ?? Number.NaN;
    expect(answers).toEqual({ accepted: count, summary: 1 });

    const read = async () => (await api.get(batch)) as { counts?: Record<string, number> };
    let counts: Record<string, number> = {};
    const waiting = () => Number(counts['queued'] ?? 1) + Number(counts['sending'] ?? 0);
    while (waiting() > 0 && performance.now() - began < minutes(55)) {
      await sleep(500);
      counts = (await read()).counts ?? {};
    }
    const drainedS = (performance.now() - began) / 1_000;
    const calls: Record<number, number> = {};
    for (const one of callsOf.subarray(0, count)) calls[one] = (calls[one] ?? 0) + 1;
    faultRow(
      `${count.toLocaleString('en')} OTPs uploaded as NDJSON, four workers, single OTPs every ${singleEveryMs} ms meanwhile, MAX_RESENDS_AFTER_UNKNOWN=0`,
      {
        uploadedInS: Math.round(uploadedS),
        sentInS: Math.round(drainedS),
        singles: tookMs.length,
        singlesP99Ms: Math.round(p99Ms),
        statuses: counts,
        numbersByCalls: calls,
      },
      'A7',
    );
    expect(calls).toEqual({ 1: count });
    // A code that was sent expires after five minutes.
    expect(Number(counts['sent']) + Number(counts['expired'])).toBe(count);
    expect(p99Ms).toBeLessThan(promisedMs(1_000));
  });
});
