import { expect, it } from 'vitest';
import { createTimeSlices } from '../../src/lib/time-slices.js';

/** Workers that share slices of 5 ms by a clock that only their work moves on, 1 ms a piece. */
async function workOf({ workers, pieces }: { workers: number; pieces: number }) {
  let clock = 0;
  let turn = 0;
  const done: { worker: number; turn: number }[] = [];
  const slices = createTimeSlices(() => clock);
  const work = async (worker: number) => {
    for (let piece = 0; piece < pieces; piece++) {
      const next = slices.next();
      if (next) await next;
      clock += 1;
      done.push({ worker, turn });
    }
  };
  let working = true;
  const countTurns = () => {
    turn += 1;
    if (working) setImmediate(countTurns);
  };
  setImmediate(countTurns);
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
  working = false;
  const inTurn = new Map<number, number>();
  for (const { turn } of done) inTurn.set(turn, (inTurn.get(turn) ?? 0) + 1);
  return { done, mostInOneTurn: Math.max(...inTurn.values()) };
}

it.each([1, 3, 20])('%i uploads together use one slice per turn of the event loop', async (workers) => {
  const { done, mostInOneTurn } = await workOf({ workers, pieces: 40 });
  expect(done).toHaveLength(workers * 40);
  expect(mostInOneTurn).toBeLessThanOrEqual(5);
});

it('waiting uploads get slices in the order of their calls', async () => {
  const { done } = await workOf({ workers: 3, pieces: 10 });
  const order = done.map(({ worker }) => worker).filter((worker, i, all) => worker !== all[i - 1]);
  expect(order).toEqual([0, 1, 2, 0, 1, 2]);
});
