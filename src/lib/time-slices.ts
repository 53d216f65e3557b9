/** Time of all uploads of a process per turn of the event loop, in ms; other work waits no longer. */
const sliceMs = 5;

/** Shares the event loop between uploads, whose work is not interrupted by I/O, and other work. */
export type TimeSlices = ReturnType<typeof createTimeSlices>;

/** Time slices of one process: at most one per turn of the event loop. `now` is a monotonic clock in ms. */
export function createTimeSlices(now = () => performance.now()) {
  const waiting: (() => void)[] = [];
  let endsAt = Number.NEGATIVE_INFINITY;
  const begin = () => {
    endsAt = now() + sliceMs;
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(begin);
  };
  return {
    /**
     * Call before each small piece of work. Null during the current slice; otherwise a promise to await first, which
     * resolves in a slice of a later turn of the event loop, in the order of calls.
     */
    next: (): Promise<void> | null => {
      if (now() < endsAt) return null;
      return new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(begin);
      });
    },
  };
}
