import { TimedOut } from './with-timeout.js';

interface BatchLimits {
  /** Items per call. */
  most: number;
  /** Concurrent calls; further items wait and make the next calls larger. */
  inFlight: number;
  /** More items than these are shared out among the concurrent calls. By default, a call takes `most` if it can. */
  least?: number;
  /** An item that waited for so long, in ms, behind a call that timed out is rejected, too: its caller has given up. */
  waitMs?: number;
}

interface Waiting<I, O> {
  item: I;
  since: number;
  resolve(answer: O): void;
  reject(error: unknown): void;
}

/**
 * Batches concurrent items into calls of `run`, which answers in the items' order. A lone item is sent within the same
 * turn of the event loop; under load, calls get larger instead of more. With `groupOf`, each group has its own batches: a
 * group whose calls hang delays no other.
 */
export function createBatcher<I, O>(
  run: (items: I[]) => Promise<O[]>,
  limits: BatchLimits,
  groupOf: (item: I) => string | number = () => 0,
): (item: I) => Promise<O> {
  const groups = new Map<string | number, (item: I) => Promise<O>>();
  return (item) => {
    const group = groupOf(item);
    const ask = groups.get(group) ?? createGroup(run, limits);
    groups.set(group, ask);
    return ask(item);
  };
}

function createGroup<I, O>(
  run: (items: I[]) => Promise<O[]>,
  { most, inFlight, least = most, waitMs = Number.POSITIVE_INFINITY }: BatchLimits,
): (item: I) => Promise<O> {
  let waiting: Waiting<I, O>[] = [];
  let running = 0;
  /** Items of the running calls. */
  let busy = 0;
  let scheduled = false;

  const call = async (batch: Waiting<I, O>[]) => {
    running += 1;
    busy += batch.length;
    try {
      const answers = await run(batch.map(({ item }) => item));
      for (const [i, { resolve }] of batch.entries()) resolve(answers[i] as O);
    } catch (error) {
      for (const { reject } of batch) reject(error);
      if (error instanceof TimedOut) rejectOld(error);
    } finally {
      running -= 1;
      busy -= batch.length;
      flush();
    }
  };
  const rejectOld = (error: TimedOut) => {
    const oldest = performance.now() - waitMs;
    const young = waiting.findIndex(({ since }) => since > oldest);
    for (const { reject } of waiting.splice(0, young === -1 ? waiting.length : young)) reject(error);
  };
  const flush = () => {
    scheduled = false;
    while (waiting.length > 0 && running < inFlight) {
      const share = Math.ceil((busy + waiting.length) / inFlight);
      const size = Math.min(most, Math.max(least, share));
      const batch = waiting.slice(0, size);
      waiting = waiting.slice(size);
      void call(batch);
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, since: performance.now(), resolve, reject });
      if (scheduled || running >= inFlight) return;
      scheduled = true;
      setImmediate(flush);
    });
}
