/**
 * Runs `work` on each group, at most `inFlight` at a time, and yields what each gave in the groups' order, as soon as
 * it is there: groups may come slowly. Takes no more groups while nobody takes results.
 */
export async function* mapOrdered<G, R>(
  groups: AsyncIterable<G> | Iterable<G>,
  inFlight: number,
  work: (group: G) => Promise<R>,
): AsyncGenerator<R> {
  const source = iterate(groups);
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

function iterate<G>(groups: AsyncIterable<G> | Iterable<G>): AsyncIterator<G> {
  if (Symbol.asyncIterator in groups) return groups[Symbol.asyncIterator]();
  const source = groups[Symbol.iterator]();
  return { next: async () => source.next() };
}

/** Its failure is looked at when its turn comes. */
function started<G, R>(work: (group: G) => Promise<R>, group: G): Promise<R> {
  const result = work(group);
  result.catch(() => {});
  return result;
}

/** Whether a next group is there before the oldest result. */
async function comesFirst(next: Promise<unknown> | null, oldest: Promise<unknown>): Promise<boolean> {
  if (!next) return false;
  const group = next.then(() => true);
  const result = oldest.then(
    () => false,
    () => false,
  );
  return await Promise.race([group, result]);
}
