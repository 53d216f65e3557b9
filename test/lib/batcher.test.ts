import { setImmediate } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { createBatcher } from '../../src/lib/batcher.js';
import { TimedOut } from '../../src/lib/with-timeout.js';

/** The batcher calls in the next turn of the event loop; the result is there a turn later. */
const ticks = async () => {
  await setImmediate();
  await setImmediate();
};

/** Answers each number with its double; calls wait until they are let go. */
function doubler(
  limits: { most: number; inFlight: number; least?: number },
  groupOf?: (item: number) => number,
) {
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

it('calls at once for a lone item, and once for concurrent items', async () => {
  const { ask, calls, letGo } = doubler({ most: 10, inFlight: 2 });
  const answers = [ask(1), ask(2)];
  await ticks();
  expect(calls).toEqual([[1, 2]]);
  letGo();
  expect(await Promise.all(answers)).toEqual([2, 4]);
});

it('limits concurrent calls; waiting items make the next calls larger', async () => {
  const { ask, calls, letGo } = doubler({ most: 2, inFlight: 1 });
  const answers = [1, 2, 3, 4, 5].map(ask);
  await ticks();
  expect(calls).toEqual([[1, 2]]);
  for (let i = 0; i < 3; i++) {
    letGo();
    await ticks();
  }
  expect(calls).toEqual([[1, 2], [3, 4], [5]]);
  expect(await Promise.all(answers)).toEqual([2, 4, 6, 8, 10]);
});

it('shares items among its calls, so that one is under way while another is prepared', async () => {
  const { ask, calls, letGo } = doubler({ least: 1, most: 10, inFlight: 2 });
  const answers = [1, 2, 3, 4, 5, 6, 7, 8].map(ask);
  await ticks();
  expect(calls).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7, 8],
  ]);
  const later = [9, 10].map(ask);
  letGo();
  await ticks();
  // Six are left: four of them are under way.
  expect(calls[2]).toEqual([9, 10]);
  letGo();
  letGo();
  await Promise.all([...answers, ...later]);
});

it('makes no call smaller than `least` while enough items wait', async () => {
  const { ask, calls, letGo } = doubler({ least: 3, most: 10, inFlight: 2 });
  const answers = [1, 2, 3, 4].map(ask);
  await ticks();
  expect(calls).toEqual([[1, 2, 3], [4]]);
  letGo();
  letGo();
  await Promise.all(answers);
});

it('makes no call larger than `most`, however many wait', async () => {
  const { ask, calls, letGo } = doubler({ least: 1, most: 5, inFlight: 2 });
  const answers = Array.from({ length: 11 }, (_, n) => ask(n));
  await ticks();
  expect(calls.map(({ length }) => length)).toEqual([5, 5]);
  letGo();
  await ticks();
  expect(calls[2]).toEqual([10]);
  letGo();
  letGo();
  await Promise.all(answers);
});

it('rejects the items of a failed call, and continues', async () => {
  const { ask, letGo } = doubler({ most: 1, inFlight: 1 });
  const answers = Promise.allSettled([ask(13), ask(1)]);
  await ticks();
  letGo();
  await ticks();
  letGo();
  expect(await answers).toMatchObject([{ reason: new Error('13') }, { value: 2 }]);
});

it('never sends what waited too long behind a call that timed out: its request has been answered', async () => {
  const calls: number[][] = [];
  let hangs = true;
  const held: (() => void)[] = [];
  const run = async (items: number[]) => {
    calls.push(items);
    if (!hangs) return items;
    await new Promise<void>((resolve) => held.push(resolve));
    throw new TimedOut(1_500);
  };
  const ask = createBatcher(run, { most: 1, inFlight: 1, waitMs: 1_000 });
  const now = vi.spyOn(performance, 'now').mockReturnValue(5_000);
  const old = Promise.allSettled([ask(1), ask(2)]);
  await ticks();
  now.mockReturnValue(6_500);
  const young = ask(3);
  hangs = false;
  held.shift()?.();
  expect((await old).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await young).toBe(3);
  expect(calls).toEqual([[1], [3]]);
  now.mockRestore();
});

it('batches each group separately: a hanging group delays no other', async () => {
  const { ask, calls, letGo } = doubler({ most: 10, inFlight: 1 }, (item) => item % 2);
  const odd = ask(1);
  await ticks();
  const even = [ask(2), ask(4)];
  void ask(3);
  await ticks();
  expect(calls).toEqual([[1], [2, 4]]);
  letGo();
  letGo();
  expect(await Promise.all([odd, ...even])).toEqual([2, 4, 8]);
});
