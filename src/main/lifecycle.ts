/** Something that runs until it is closed; closing finishes the work that it holds. */
export interface Closable {
  close(): Promise<void>;
}

/** What a process has started so far, so that a signal or a failed start can end it at any moment. */
export type Lifecycle = ReturnType<typeof createLifecycle>;

/**
 * Closes the newest part first, and all of them even when one fails; then rejects with the first failure. `onFail` must
 * end the process.
 */
export function createLifecycle(onFail: () => void) {
  const parts: Closable[] = [];
  const onHangup: (() => void)[] = [];
  let ending = false;
  return {
    /** Ends the process with exit code 1. */
    fail: () => {
      ending = true;
      onFail();
    },
    isEnding: () => ending,
    /** Runs `work` on SIGHUP. Without any, SIGHUP ends a process that has a terminal. */
    onHangup: (work: () => void): void => void onHangup.push(work),
    /** Runs the work of `onHangup`; false when there is none. */
    hangUp: () => {
      for (const work of onHangup) work();
      return onHangup.length > 0;
    },
    add: <T extends Closable>(part: T): T => {
      parts.push(part);
      return part;
    },
    close: async () => {
      ending = true;
      const failures: unknown[] = [];
      // A start that has not ended may add others meanwhile.
      for (let part = parts.pop(); part; part = parts.pop()) {
        await part.close().catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
