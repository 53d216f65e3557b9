/**
 * Runs `work` on each group, at most `inFlight` at a time, and yields the results in the groups' order, each as soon as
 * it is there: groups may come slowly. Reads no further groups while results are not read.
 */
export async function* mapOrdered<G, R>(
  groups: AsyncIterable<G>,
  inFlight: number,
  work: (group: G) => Promise<R>,
): AsyncGenerator<R> {
  const source = groups[Symbol.asyncIterator]();
  const running: Promise<R>[] = [];
  let next: Promise<IteratorResult<G>> | null = null;
  let ended = false;
  try {
    while (!ended || running.length > 0) {
      if (!ended && running.length < inFlight) next ??= source.next();
      const [oldest] = running;
      if (oldest && !(await comesFirst(next, oldest))) {
        running.shift();
        yield await oldest;
      } else if (next) {
        const group = await next;
        next = null;
        if (group.done) ended = true;
        else running.push(started(work, group.value));
      }
    }
  } finally {
    await source.return?.();
  }
}

/** A rejection is handled when its result is yielded. */
function started<G, R>(work: (group: G) => Promise<R>, group: G): Promise<R> {
  const result = work(group);
  result.catch(() => {});
  return result;
}

/** True if the next group is there before the oldest result. */
async function comesFirst(next: Promise<unknown> | null, oldest: Promise<unknown>): Promise<boolean> {
  if (!next) return false;
  const group = next.then(() => true);
  const result = oldest.then(
    () => false,
    () => false,
  );
  return await Promise.race([group, result]);
}

/** Waits for every call; the results by the calls' names. */
export async function resolved<T extends object>(calls: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const results = Object.entries(calls).map(async ([name, call]) => [name, await call] as const);
  return Object.fromEntries(await Promise.all(results)) as { [K in keyof T]: Awaited<T[K]> };
}
