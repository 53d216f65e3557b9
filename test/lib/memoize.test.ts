import { describe, expect, it } from 'vitest';
import { cachedFor, createTurns, memoize, once } from '../../src/lib/memoize.js';

it('computes a result once, until the cache is full', () => {
  const asked: string[] = [];
  const length = memoize((text) => {
    asked.push(text);
    return text.length;
  });
  expect([length('abc'), length('abc'), length('')]).toEqual([3, 3, 0]);
  expect(asked).toEqual(['abc', '']);
  for (let i = 0; i < 10_000; i++) length(`n${i}`);
  asked.length = 0;
  expect(length('abc')).toBe(3);
  expect(asked).toEqual(['abc']);
});

it('makes a lazy part once, and again after it could not be made', async () => {
  let made = 0;
  const part = once(async () => {
    made += 1;
    if (made === 1) throw new Error('away');
    return { made };
  });
  await expect(part()).rejects.toThrow('away');
  expect([await part(), await part()]).toEqual([{ made: 2 }, { made: 2 }]);
});

it('shares a result for a time, and reads it again after a failure', async () => {
  let runs = 0;
  const work = async () => {
    runs += 1;
    if (runs === 1) throw new Error('away');
    return runs;
  };
  const kept = cachedFor(60_000, work);
  await Promise.all([expect(kept()).rejects.toThrow('away'), expect(kept()).rejects.toThrow('away')]);
  expect(await Promise.all([kept(), kept()])).toEqual([2, 2]);
  expect(await kept()).toBe(2);
  const expired = cachedFor(0, work);
  expect([await expired(), await expired()]).toEqual([3, 4]);
});

describe('turns', () => {
  it('run the work of one name one at a time and in order, also after a failure, beside that of others', async () => {
    const inTurn = createTurns();
    const events: string[] = [];
    const work = (name: string, fails = false) =>
      inTurn(name.charAt(0), async () => {
        events.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        events.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const all = await Promise.allSettled([work('a1', true), work('a2'), work('b1')]);
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(events).toEqual(['a1 begins', 'b1 begins', 'a1 ends', 'a2 begins', 'b1 ends', 'a2 ends']);
    expect(await work('a3')).toBe('a3');
  });
});
