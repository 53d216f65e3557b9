import { Pool } from 'undici';
import type { Pair } from './pairs.js';
import type { Row } from './row.js';
import { nowMs, sleep } from './support/clock.js';
import { post } from './support/drive.js';
import { createGateway, message } from './support/gateway.js';
import { nthNational } from './support/numbers.js';
import { keepUp } from './support/progress.js';
import type { Stand } from './support/stand.js';
import { percentile } from './support/statistics.js';
import { createUploader, uploads } from './support/upload.js';

const delayMs = 100;
const overtakers = 200;
const pauseMs = 50;
/** One that has not got through by then counts as having got through at that moment. */
const patienceMs = 2_000;

/** Milliseconds from each single OTP's request to its call of the provider, numbers from the `from`-th on. */
async function overtake(stand: Stand, url: string, { from, count }: { from: number; count: number }) {
  const pool = stand.add(new Pool(url, { connections: 8 }), (open) => open.close());
  const begins: [string, number][] = [];
  for (let n = from; n < from + count; n++) {
    begins.push([nthNational(n), nowMs()]);
    const body = JSON.stringify({ to: `+60${nthNational(n)}`, message });
    await post(pool, { path: '/v1/otps', body }, 202);
    await sleep(pauseMs);
  }
  await sleep(patienceMs);
  const arrivals = await stand.provider.arrivals();
  const waitedUntil = nowMs();
  return begins.map(([mobile, began]) => (arrivals.get(mobile) ?? waitedUntil) - began);
}

export const overtakingRow: Row = {
  name: 'overtaking',
  what: "a single OTP's p99 to the provider while 100,000 bulk OTPs wait; one worker, provider taking 100 ms",
  bare: '–',
  run: async (stand) => {
    const waiting = stand.size(100_000, 1_000);
    const gateway = createGateway(stand);
    const { url } = await gateway.startApi();
    const worker = await gateway.startWorker();
    worker.kill('SIGSTOP');
    const { upload } = createUploader(stand, url);
    const stop = keepUp(stand, gateway.store);
    for (const each of uploads(waiting)) await upload(each);
    await stop();
    await stand.provider.reset(delayMs);
    worker.kill('SIGCONT');
    const tookMs = await overtake(stand, url, { from: waiting, count: stand.size(overtakers, 10) });
    const pairs: Pair[] = [{ ours: percentile(tookMs, 0.99), bare: null }];
    return [{ name: 'overtaking', unit: 'ms', judged: 'ours', goal: { atMost: 1_000 }, pairs }];
  },
};
