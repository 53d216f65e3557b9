import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createBatcher } from '../../src/lib/batcher.js';

/** The batcher asks in the next turn of the event loop; what that sets off is done a turn later. */
const turns = async () => {
  await setImmediate();
  await setImmediate();
};

/** Answers each number with its double; calls wait until they are let go. */
function doubler(limits: { most: number; inFlight: number }, groupOf?: (item: number) => number) {
  const calls: number[][] = [];
  const held: (() => void)[] = [];
  const run = async (items: number[]) => {
    calls.push(items);
    await new Promise<void>((resolve) => held.push(resolve));
    if (items.includes(13)) throw new Error('13');
    return items.map((item) => item * 2);
  };
  const ask = createBatcher(run, limits, groupOf);
  return { ask, calls, letGo: () => held.shift()?.() };
}

it('asks at once for what comes alone, and together for what comes together', async () => {
  const { ask, calls, letGo } = doubler({ most: 10, inFlight: 2 });
  const answers = [ask(1), ask(2)];
  await turns();
  expect(calls).toEqual([[1, 2]]);
  letGo();
  expect(await Promise.all(answers)).toEqual([2, 4]);
});

it('has no more calls under way than it may; what comes meanwhile makes the next ones larger', async () => {
  const { ask, calls, letGo } = doubler({ most: 2, inFlight: 1 });
  const answers = [1, 2, 3, 4, 5].map(ask);
  await turns();
  expect(calls).toEqual([[1, 2]]);
  for (let i = 0; i < 3; i++) {
    letGo();
    await turns();
  }
  expect(calls).toEqual([[1, 2], [3, 4], [5]]);
  expect(await Promise.all(answers)).toEqual([2, 4, 6, 8, 10]);
});

it('rejects what was asked in a call that failed, and goes on', async () => {
  const { ask, letGo } = doubler({ most: 1, inFlight: 1 });
  const answers = Promise.allSettled([ask(13), ask(1)]);
  await turns();
  letGo();
  await turns();
  letGo();
  expect(await answers).toMatchObject([{ reason: new Error('13') }, { value: 2 }]);
});

it('gathers each group for itself: one that hangs holds no other up', async () => {
  const { ask, calls, letGo } = doubler({ most: 10, inFlight: 1 }, (item) => item % 2);
  const odd = ask(1);
  await turns();
  const even = [ask(2), ask(4)];
  void ask(3);
  await turns();
  expect(calls).toEqual([[1], [2, 4]]);
  letGo();
  letGo();
  expect(await Promise.all([odd, ...even])).toEqual([2, 4, 8]);
});
