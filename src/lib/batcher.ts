import { TimedOut } from './with-timeout.js';

export interface BatchLimits {
  /** Items per call. */
  most: number;
  /** Concurrent calls; further items wait and make the next calls larger. */
  inFlight: number;
  /** Smallest call while enough items wait; more items are shared among the concurrent calls. Default: `most`. */
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
 * turn of the event loop; under load, up to `inFlight` calls share the items. With `groupOf`, each group has its own
 * batches: a group whose calls hang delays no other.
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
  let runningItems = 0;
  let scheduled = false;

  const call = async (batch: Waiting<I, O>[]) => {
    running += 1;
    runningItems += batch.length;
    try {
      const answers = await run(batch.map(({ item }) => item));
      for (const [i, { resolve }] of batch.entries()) resolve(answers[i] as O);
    } catch (error) {
      for (const { reject } of batch) reject(error);
      if (error instanceof TimedOut) rejectOld(error);
    } finally {
      running -= 1;
      runningItems -= batch.length;
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
      const share = Math.ceil((runningItems + waiting.length) / inFlight);
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
