/** A call was not answered in time. It may still have taken effect. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';

  constructor(ms: number) {
    super(`timed out after ${ms} ms`);
  }
}

/** A pause of the process uses up at most one part of a time-out. */
const parts = 4;

/**
 * Calls `end` after `ms` in which this process could run; the returned function cancels it. After a pause of the process
 * (garbage collection, a busy CPU) timers fire before sockets are read, so time is counted in parts, and sockets are read
 * once more before `end` (ADR 33).
 */
export function startTimeout(ms: number, end: () => void): () => void {
  let left = parts;
  let timer: NodeJS.Timeout;
  let last: NodeJS.Immediate | undefined;
  const count = () => {
    left -= 1;
    if (left > 0) timer = setTimeout(count, ms / parts);
    else last = setImmediate(end);
  };
  timer = setTimeout(count, ms / parts);
  return () => {
    clearTimeout(timer);
    clearImmediate(last);
  };
}

/** Resolves with the call's result, or rejects with `TimedOut` after `ms`. */
export function withTimeout<T>(call: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = startTimeout(ms, () => reject(new TimedOut(ms)));
    const settle =
      <V>(how: (value: V) => void) =>
      (value: V) => {
        stop();
        how(value);
      };
    call.then(settle(resolve), settle(reject));
  });
}

/** The results of those calls that did not fail. */
export async function fulfilled<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(calls);
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** Wraps all functions, also of nested objects, with a time-out for the promises they return. */
export function withTimeouts<T extends object>(functions: T, ms: number): T {
  const members = Object.entries(functions).map(([name, member]) => [name, limited(member, ms)]);
  return Object.fromEntries(members);
}

function limited(member: unknown, ms: number): unknown {
  if (typeof member === 'function') {
    return (...args: unknown[]) => {
      const result: unknown = member(...args);
      return result instanceof Promise ? withTimeout(result, ms) : result;
    };
  }
  return isPlainObject(member) ? withTimeouts(member, ms) : member;
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
