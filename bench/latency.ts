import { Pool } from 'undici';
import type { Pair } from './pairs.js';
import type { Row } from './row.js';
import { nowMs, sleep } from './support/clock.js';
import { counterpartJob, createCounterpart } from './support/counterpart.js';
import { type Call, drive, post } from './support/drive.js';
import { createGateway, message } from './support/gateway.js';
import { nthNational } from './support/numbers.js';
import type { Stand } from './support/stand.js';
import { percentile } from './support/statistics.js';

/** Pauses between two, so that each finds everything idle. */
const pauseMs = 15;
/** Made at first and not measured: code that runs for weeks is not as slow as in its first second. */
const warmUp = 3_000;

function otpCall(n: number): Call {
  return { path: '/v1/otps', body: JSON.stringify({ to: `+60${nthNational(n)}`, message }) };
}

/** Milliseconds from each mobile's beginning to its end. */
function between(begins: Map<string, number>, ends: Map<string, number>): number[] {
  return [...begins].map(([mobile, began]) => {
    const ended = ends.get(mobile);
    if (ended === undefined) throw new Error('one was never sent');
    return ended - began;
  });
}

/** Does `begin` for one number after the other; answers when each began. */
async function oneByOne(count: number, begin: (n: number) => Promise<unknown>): Promise<Map<string, number>> {
  const begins = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    begins.set(nthNational(n), nowMs());
    await begin(n);
    await sleep(pauseMs);
  }
  await sleep(500);
  return begins;
}

/** From the call of `queue.add` to the start of the job's processor. */
async function bareLatencies(stand: Stand) {
  const bare = createCounterpart(stand, 'bare');
  const worker = await bare.startWorker();
  await bare.fill(stand.size(warmUp, 10));
  await bare.drained();
  await worker.ask({ ask: 'starts' });
  return async (count: number): Promise<number[]> => {
    const begins = await oneByOne(count, (n) => {
      const { name, data } = counterpartJob(n);
      return bare.queue.add(name, data);
    });
    return between(begins, new Map((await worker.ask({ ask: 'starts' })) as [string, number][]));
  };
}

/** From the moment the caller's request leaves, HTTP and admission included, to the call of the provider. */
async function ourLatencies(stand: Stand) {
  const gateway = createGateway(stand);
  await gateway.startWorker();
  const { url } = await gateway.startApi();
  const pool = stand.add(new Pool(url, { connections: 1 }), (open) => open.close());
  const first = Array.from({ length: stand.size(warmUp, 10) }, (_, n) => otpCall(n));
  await drive(url, first, { connections: 8, status: 202 });
  await gateway.drained();
  return async (count: number): Promise<number[]> => {
    await stand.provider.reset(0);
    const begins = await oneByOne(count, (n) => post(pool, otpCall(n), 202));
    return between(begins, await stand.provider.arrivals());
  };
}

export const latencyRow: Row = {
  name: 'send-latency',
  what: 'from the request, HTTP included, to the call of the provider; nothing else to do',
  bare: 'from queue.add to the start of the processor, no HTTP',
  run: async (stand) => {
    const sides = { bare: await bareLatencies(stand), ours: await ourLatencies(stand) };
    const count = stand.size(100, 10);
    const [half, tail]: [Pair[], Pair[]] = [[], []];
    for (let round = 0; round < stand.rounds; round++) {
      await stand.empty();
      const bare = await sides.bare(count);
      const ours = await sides.ours(count);
      half.push({ bare: percentile(bare, 0.5), ours: percentile(ours, 0.5) });
      tail.push({ bare: percentile(bare, 0.95), ours: percentile(ours, 0.95) });
    }
    return [
      { name: 'send-latency p50', unit: 'ms', judged: 'ratio', goal: { atMost: 2.6 }, pairs: half },
      { name: 'send-latency p95', unit: 'ms', judged: 'ours', goal: { atMost: 50 }, pairs: tail },
    ];
  },
};
