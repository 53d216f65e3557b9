const mostRemembered = 10_000;

/** Caches the results of a pure function; empties the cache when it is full. */
export function memoize<T>(answer: (text: string) => T): (text: string) => T {
  const answers = new Map<string, T>();
  return (text) => {
    const known = answers.get(text);
    if (known !== undefined) return known;
    if (answers.size >= mostRemembered) answers.clear();
    const fresh = answer(text);
    answers.set(text, fresh);
    return fresh;
  };
}

/** Calls `make` at the first call, and again after a promise that rejected. */
export function once<T extends object>(make: () => T): () => T {
  let made: T | null = null;
  return () => {
    if (made !== null) return made;
    made = make();
    Promise.resolve(made).catch(() => {
      made = null;
    });
    return made;
  };
}

/** A function whose concurrent calls share one run of `work`. */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  return () => {
    running ??= work().finally(() => {
      running = null;
    });
    return running;
  };
}

/** A function whose calls share a result for `ms` after its run began; a run that rejected is not kept. */
export function cachedFor<T>(ms: number, work: () => Promise<T>): () => Promise<T> {
  let last: { at: number; result: Promise<T> } | null = null;
  return () => {
    if (last !== null && performance.now() - last.at < ms) return last.result;
    const run = { at: performance.now(), result: work() };
    run.result.catch(() => {
      if (last === run) last = null;
    });
    last = run;
    return run.result;
  };
}

/** Runs the work of one name one at a time, in the order of asking. */
export function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const mine = (last.get(name) ?? Promise.resolve()).then(work, work);
    last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (last.get(name) === mine) last.delete(name);
    }
  };
}
