import type { ChildProcess } from 'node:child_process';
import type { Figure, Pair } from './pairs.js';
import type { Row } from './row.js';
import { createGateway, type Gateway } from './support/gateway.js';
import { kill } from './support/kill.js';
import { sendRate } from './support/provider-process.js';
import type { Stand } from './support/stand.js';

const concurrency = 50;
const delayMs = 100;

/** Sends a second by all of the workers, who get `each` OTPs on average and find all of them there. */
async function rateOf(stand: Stand, gateway: Gateway, workers: ChildProcess[], each: number) {
  const count = workers.length * each;
  for (const worker of workers) worker.kill('SIGSTOP');
  await stand.empty();
  await stand.provider.reset(delayMs);
  await gateway.fill(count);
  for (const worker of workers) worker.kill('SIGCONT');
  const tally = await stand.provider.sent(count);
  await gateway.drained();
  return sendRate(tally);
}

/** Rates of four, two and one workers, after a turn that does not count. */
async function round(stand: Stand, gateway: Gateway): Promise<{ four: number; two: number; one: number }> {
  const each = stand.size(1_000, 100);
  const workers = await gateway.startWorkers(4, concurrency);
  if (!stand.short) await rateOf(stand, gateway, workers, each);
  const four = await rateOf(stand, gateway, workers, each);
  for (const worker of workers.splice(2)) await kill(worker);
  const two = await rateOf(stand, gateway, workers, each);
  for (const worker of workers.splice(1)) await kill(worker);
  const one = await rateOf(stand, gateway, workers, each);
  for (const worker of workers) await kill(worker);
  return { four, two, one };
}

export const scaleOutRow: Row = {
  name: 'scale-out',
  what: 'sends/s by several workers, provider taking 100 ms, concurrency 50 each',
  bare: 'one worker',
  run: async (stand) => {
    const gateway = createGateway(stand);
    const [ofTwo, ofFour]: [Pair[], Pair[]] = [[], []];
    for (let turn = 0; turn < stand.rounds; turn++) {
      const { four, two, one } = await round(stand, gateway);
      ofTwo.push({ ours: two, bare: one });
      ofFour.push({ ours: four, bare: one });
    }
    const shared = { unit: 'sends/s', judged: 'ratio' } satisfies Partial<Figure>;
    return [
      { name: 'scale-out 2 workers', ...shared, goal: { atLeast: 1.9 }, pairs: ofTwo },
      { name: 'scale-out 4 workers', ...shared, goal: { atLeast: 3.6 }, pairs: ofFour },
    ];
  },
};
