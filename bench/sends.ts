import type { GatewayProcess } from '../test/support/processes.js';
import { type Side, takePairs } from './pairs.js';
import type { Row } from './row.js';
import { type Bare, createBare } from './support/bare.js';
import type { Child } from './support/child.js';
import { createGateway, type Gateway } from './support/gateway.js';
import { sendRate } from './support/provider-process.js';
import type { Stand } from './support/stand.js';

interface SendsOptions {
  name: string;
  what: string;
  atLeast: number;
  delayMs: number;
  concurrency: number;
  /** OTPs a measurement sends. */
  count: number;
}

/** Sends a second by one worker process, from the first to the last call that the provider saw. */
function sendsRow({ name, what, atLeast, delayMs, concurrency, count }: SendsOptions): Row {
  return {
    name,
    what,
    bare: 'BullMQ worker and undici.request to the same provider',
    run: async (stand) => {
      const bare = createBare(stand);
      const ours = createGateway(stand);
      const bareWorker = await bare.startWorker(concurrency);
      const ourWorker = await ours.startWorker(concurrency);
      const pairs = await takePairs(stand.extent(count, 300), {
        bare: side(stand, bare, { worker: bareWorker, delayMs }),
        ours: side(stand, ours, { worker: ourWorker, delayMs }),
      });
      return [{ name, unit: 'sends/s', judged: 'ratio', goal: { atLeast }, pairs }];
    },
  };
}

/** The worker is stopped (SIGSTOP) but for its turn: it takes no job before all are there, and no time from others. */
export function side(
  stand: Stand,
  { fill, drained }: Pick<Bare | Gateway, 'fill' | 'drained'>,
  { worker, delayMs }: { worker: Pick<Child | GatewayProcess, 'signal'>; delayMs: number },
): Side {
  worker.signal('SIGSTOP');
  return async (count) => {
    await stand.empty();
    await stand.provider.reset(delayMs);
    await fill(count);
    worker.signal('SIGCONT');
    const tally = await stand.provider.sent(count);
    await drained();
    worker.signal('SIGSTOP');
    return sendRate(tally);
  };
}

export const sendsRows: Row[] = [
  sendsRow({
    name: 'sends-instant',
    what: 'sends/s by one worker, provider answering at once',
    atLeast: 0.8,
    delayMs: 0,
    concurrency: 50,
    count: 10_000,
  }),
  sendsRow({
    name: 'sends-100ms',
    what: 'sends/s by one worker, provider taking 100 ms, concurrency 500',
    atLeast: 0.95,
    delayMs: 100,
    concurrency: 500,
    count: 12_000,
  }),
];
