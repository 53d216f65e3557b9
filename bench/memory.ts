import { Queue } from 'bullmq';
import { request } from '../test/support/otps.js';
import type { Figure } from './pairs.js';
import { createSendMany } from './producer.js';
import type { Row } from './row.js';
import { sleep } from './support/clock.js';
import { createGateway, message } from './support/gateway.js';
import { nthNational, nthNumber } from './support/numbers.js';
import type { Stand } from './support/stand.js';

/** Bytes that Redis takes for each of `count` of what `fill` puts into it. */
async function bytesEach(stand: Stand, count: number, fill: (count: number) => Promise<unknown>) {
  await stand.empty();
  const before = await usedMemory(stand);
  await fill(count);
  return ((await usedMemory(stand)) - before) / count;
}

async function usedMemory({ client }: Stand): Promise<number> {
  // Buffers of what was just written are given back by then.
  await sleep(500);
  return Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
}

/** Everything that an app asked for, which a bare job has to carry since there is no record. */
function wholeRequest(n: number): object {
  const to = nthNumber(n);
  return { ...request({ to, message }), to: to.e164 };
}

async function fillBare(queue: Queue, count: number): Promise<void> {
  for (let first = 0; first < count; first += 1_000) {
    const size = Math.min(1_000, count - first);
    const jobs = Array.from({ length: size }, (_, i) => ({ name: 'send', data: wholeRequest(first + i) }));
    await queue.addBulk(jobs);
  }
}

export const memoryRow: Row = {
  name: 'memory',
  also: ['memory-bulk'],
  what: 'Redis memory per waiting OTP, all keys: single ones, and lines of a batch',
  bare: 'a waiting BullMQ job that carries the whole request',
  run: async (stand) => {
    const count = stand.size(50_000, 300);
    const queue = stand.add(new Queue('bare', { connection: stand.client }), (open) => open.close());
    const bare = await bytesEach(stand, count, (n) => fillBare(queue, n));
    const single = await bytesEach(stand, count, createGateway(stand).fill);
    const sendMany = createSendMany(stand);
    const bulk = await bytesEach(stand, count, async () => {
      await sendMany(Array.from({ length: count }, (_, n) => ({ to: `+60${nthNational(n)}`, message })));
    });
    // Nothing else has a part in it, so once is enough.
    const figure = (name: string, ours: number, atMost: number): Figure => ({
      ...{ name, unit: 'B', judged: 'ratio', goal: { atMost }, pairs: [{ ours, bare }] },
    });
    return [figure('memory', single, 2), figure('memory-bulk', bulk, 1.2)];
  },
};
