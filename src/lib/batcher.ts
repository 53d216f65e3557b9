/** How calls are gathered. */
export interface BatchLimits {
  /** Items of one call at most. */
  most: number;
  /** Calls under way at most; what comes meanwhile waits, and makes the next ones larger. */
  inFlight: number;
}

/** How calls on single records are gathered: Redis serves nobody else during one. */
export const gathered: BatchLimits = { most: 100, inFlight: 2 };

interface Waiting<I, O> {
  item: I;
  resolve(answer: O): void;
  reject(error: unknown): void;
}

/**
 * Gathers what is asked for at the same time into calls of `run`, which answers each item in its place. Alone, an
 * item goes out within the same turn of the event loop; under load, calls grow instead of getting more. With `groupOf`,
 * each group is gathered for itself: one whose calls hang holds no other up.
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
  { most, inFlight }: BatchLimits,
): (item: I) => Promise<O> {
  let waiting: Waiting<I, O>[] = [];
  let running = 0;
  let scheduled = false;

  const call = async (batch: Waiting<I, O>[]) => {
    running += 1;
    try {
      const answers = await run(batch.map(({ item }) => item));
      for (const [i, { resolve }] of batch.entries()) resolve(answers[i] as O);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      running -= 1;
      flush();
    }
  };
  const flush = () => {
    scheduled = false;
    while (waiting.length > 0 && running < inFlight) {
      const batch = waiting.slice(0, most);
      waiting = waiting.slice(most);
      void call(batch);
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (scheduled || running >= inFlight) return;
      scheduled = true;
      setImmediate(flush);
    });
}
