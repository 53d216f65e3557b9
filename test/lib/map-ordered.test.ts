import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { mapOrdered } from '../../src/lib/map-ordered.js';
import { sleep } from '../support/otps.js';

async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const result of results) all.push(result);
  return all;
}

it('yields results in the order of the groups, with limited concurrency', async () => {
  let running = 0;
  let most = 0;
  const work = async (group: number) => {
    running += 1;
    most = Math.max(most, running);
    await sleep(group % 2 === 0 ? 20 : 1);
    running -= 1;
    return group;
  };
  async function* groups() {
    for (let i = 0; i < 7; i++) yield i;
  }
  expect(await collect(mapOrdered(groups(), 3, work))).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(most).toBe(3);
});

it('yields a result before the next group arrives', async () => {
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  async function* slowly() {
    yield 1;
    await held;
    yield 2;
  }
  const results = mapOrdered(slowly(), 4, async (group) => group);
  expect(await results.next()).toEqual({ value: 1, done: false });
  goOn();
  expect(await collect(results)).toEqual([2]);
});

it('reads no further groups while results are not read', async () => {
  let taken = 0;
  async function* many() {
    for (let i = 0; i < 100; i++) {
      taken += 1;
      yield i;
    }
  }
  const results = mapOrdered(many(), 3, async (group) => group);
  await results.next();
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  expect(taken).toBeLessThanOrEqual(4);
});

it('rejects with the error of a group, and closes the source', async () => {
  let letGo = false;
  async function* endless() {
    try {
      for (let i = 0; ; i++) yield i;
    } finally {
      letGo = true;
    }
  }
  const results = mapOrdered(endless(), 2, async (group) => {
    if (group === 3) throw new Error('three');
    return group;
  });
  await expect(collect(results)).rejects.toThrow('three');
  expect(letGo).toBe(true);
});
