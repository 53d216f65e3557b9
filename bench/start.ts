import type { Figure, Pair } from './pairs.js';
import type { Row } from './row.js';
import { sleep } from './support/clock.js';
import { cpuTimeUs } from './support/cpu-time.js';
import { createGateway } from './support/gateway.js';
import { residentMemory } from './support/process-memory.js';
import type { Stand } from './support/stand.js';

/** V8 gives back what the start needed after some ten seconds without work. */
const idleMs = 20_000;

/** One start of both processes: CPU time in ms until they work, and memory in MB once they are idle. */
async function startBoth(stand: Stand) {
  const gateway = createGateway(stand);
  const api = await gateway.startApi();
  const apiCpu = cpuTimeUs(api.pid) / 1_000;
  await gateway.fill(1);
  const worker = await gateway.startWorker();
  await stand.provider.sent(1);
  const pid = worker.pid ?? 0;
  const workerCpu = cpuTimeUs(pid) / 1_000;
  await sleep(stand.size(idleMs, 0));
  const [apiMb, workerMb] = [await residentMemory(api.pid), await residentMemory(pid)];
  return { apiCpu, workerCpu, apiMb, workerMb };
}

export const startRow: Row = {
  name: 'start',
  also: ['start-worker', 'start-api', 'idle-worker', 'idle-api'],
  what: 'CPU time until a worker has called the provider and until the API is ready; memory of both when idle',
  bare: '–',
  run: async (stand) => {
    const found: Awaited<ReturnType<typeof startBoth>>[] = [];
    for (let round = 0; round < stand.rounds; round++) found.push(await startBoth(await stand.secondStand()));
    const figure = (
      name: string,
      unit: string,
      atMost: number,
      of: (one: (typeof found)[number]) => number,
    ) => {
      const pairs = found.map((one): Pair => ({ ours: of(one), bare: null }));
      return { name, unit, judged: 'ours', goal: { atMost }, pairs } satisfies Figure;
    };
    return [
      figure('start-worker', 'ms', 1_200, ({ workerCpu }) => workerCpu),
      figure('start-api', 'ms', 1_200, ({ apiCpu }) => apiCpu),
      figure('idle-worker', 'MB', 95, ({ workerMb }) => workerMb),
      figure('idle-api', 'MB', 110, ({ apiMb }) => apiMb),
    ];
  },
};
