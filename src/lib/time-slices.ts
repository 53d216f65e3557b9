/** What all uploads of a process may use of one turn of the event loop, in ms: others wait no longer for theirs. */
const defaultSliceMs = 5;

/** Shares the event loop between uploads, whose work needs no I/O to go on, and everything else. */
export interface TimeSlices {
  /**
   * Null while the current slice lasts, to be asked before each small piece of work; otherwise a promise to await first,
   * which resolves in a slice of a later turn of the event loop, in the order of asking.
   */
  next(): Promise<void> | null;
}

/** Time slices of one process: in each turn of the event loop there is one at most, however many ask for it. */
export function createTimeSlices({
  sliceMs = defaultSliceMs,
  now = () => performance.now(),
}: {
  sliceMs?: number;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
} = {}): TimeSlices {
  const waiting: (() => void)[] = [];
  let endsAt = Number.NEGATIVE_INFINITY;
  const begin = () => {
    endsAt = now() + sliceMs;
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(begin);
  };
  return {
    next: () => {
      if (now() < endsAt) return null;
      return new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(begin);
      });
    },
  };
}
