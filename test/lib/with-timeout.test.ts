import { afterEach, describe, expect, it, vi } from 'vitest';
import { TimedOut, withTimeout, withTimeouts } from '../../src/lib/with-timeout.js';
import { connect } from '../support/redis.js';

const ms = 1_000;

/** What a long garbage collection or a busy machine does to this process. */
function block(forMs: number): void {
  for (const until = performance.now() + forMs; performance.now() < until; );
}

afterEach(() => void vi.useRealTimers());

describe('a time-out', () => {
  it('does not reject a call that was answered while the process was blocked', async () => {
    const redis = await connect();
    const call = withTimeout(redis.ping(), ms);
    block(1.1 * ms);
    expect(await call).toBe('PONG');
  });

  it('leaves a call of several steps time for the rest after the process was blocked', async () => {
    const redis = await connect();
    const steps = async () => {
      await redis.ping();
      await redis.ping();
      return await redis.ping();
    };
    const call = withTimeout(steps(), ms);
    block(1.1 * ms);
    expect(await call).toBe('PONG');
  });

  it('rejects an unanswered call when the time is over, not before', async () => {
    vi.useFakeTimers();
    const rejected = vi.fn();
    withTimeout(new Promise(() => {}), ms).catch(rejected);
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(rejected).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2);
    expect(rejected).toHaveBeenCalledWith(new TimedOut(ms));
  });

  it('leaves no timer behind when the call resolves or rejects', async () => {
    vi.useFakeTimers();
    expect(await withTimeout(Promise.resolve('answer'), ms)).toBe('answer');
    await expect(withTimeout(Promise.reject(new Error('broken')), ms)).rejects.toThrow('broken');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('functions with time-outs', () => {
  it('return as before; only promises get a time-out', async () => {
    vi.useFakeTimers();
    const queues = [{ name: 'send' }];
    const functions = {
      add: async (a: number, b: number) => a + b,
      nested: { hang: () => new Promise<string>(() => {}), double: (n: number) => 2 * n },
      queues,
    };
    const limited = withTimeouts(functions, ms);
    expect([await limited.add(1, 2), limited.nested.double(2)]).toEqual([3, 4]);
    expect(limited.queues).toBe(queues);
    const rejected = expect(limited.nested.hang()).rejects.toThrow(TimedOut);
    await vi.advanceTimersByTimeAsync(ms + 1);
    await rejected;
  });
});
