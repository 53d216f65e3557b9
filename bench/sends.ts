import type { ChildProcess } from 'node:child_process';
import { type Figure, type Side, takePairs } from './pairs.js';
import type { Row } from './row.js';
import type { Child } from './support/child.js';
import { type Counterpart, createCounterpart } from './support/counterpart.js';
import { createGateway, type Gateway } from './support/gateway.js';
import { sendRate } from './support/provider-process.js';
import type { Stand } from './support/stand.js';

interface SendsOptions {
  name: string;
  what: string;
  goals: Pick<Figure, 'goal' | 'usualGoal'>;
  delayMs: number;
  concurrency: number;
  /** OTPs a measurement sends. */
  count: number;
}

/** Sends a second by one worker process, from the first to the last call that the provider saw. */
function sendsRow({ name, what, goals, delayMs, concurrency, count }: SendsOptions): Row {
  return {
    name,
    what,
    bare: 'BullMQ worker and undici.request to the same provider',
    run: async (stand) => {
      const [ours, bare, usual] = [
        createGateway(stand),
        createCounterpart(stand, 'bare'),
        createCounterpart(stand, 'usual'),
      ];
      const bareWorker = await bare.startWorker(concurrency);
      const usualWorker = await usual.startWorker(concurrency);
      const ourWorker = await ours.startWorker(concurrency);
      const pairs = await takePairs(stand.extent(count, 300), {
        ours: side(stand, ours, { worker: ourWorker, delayMs }),
        bare: side(stand, bare, { worker: bareWorker, delayMs }),
        usual: side(stand, usual, { worker: usualWorker, delayMs }),
        pids: { ours: ourWorker.pid, bare: bareWorker.pid, usual: usualWorker.pid },
      });
      return [{ name, unit: 'sends/s', judged: 'ratio', ...goals, pairs }];
    },
  };
}

/** The worker is stopped (SIGSTOP) but for its turn: it takes no job before all are there, and no time from others. */
export function side(
  stand: Stand,
  { fill, drained }: Pick<Counterpart | Gateway, 'fill' | 'drained'>,
  { worker, delayMs }: { worker: Pick<Child | ChildProcess, 'kill'>; delayMs: number },
): Side {
  worker.kill('SIGSTOP');
  return async (count) => {
    await stand.empty();
    await stand.provider.reset(delayMs);
    await fill(count);
    worker.kill('SIGCONT');
    const tally = await stand.provider.sent(count);
    await drained();
    worker.kill('SIGSTOP');
    return sendRate(tally);
  };
}

export const sendsRows: Row[] = [
  sendsRow({
    name: 'sends-instant',
    what: 'sends/s by one worker, provider answering at once, concurrency 50',
    goals: { goal: { atLeast: 0.6 }, usualGoal: { atLeast: 0.9 } },
    delayMs: 0,
    concurrency: 50,
    count: 10_000,
  }),
  sendsRow({
    name: 'sends-100ms',
    what: 'sends/s by one worker, provider taking 100 ms, concurrency 500',
    goals: { goal: { atLeast: 0.9 }, usualGoal: { atLeast: 1 } },
    delayMs: 100,
    concurrency: 500,
    count: 12_000,
  }),
];
