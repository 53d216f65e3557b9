/** Something that runs until it is closed; closing finishes what it holds. */
export interface Running {
  close(): Promise<void>;
}

/** What a process has started so far, so that a signal or a failed start can end it at any moment. */
export interface Parts extends Running {
  add<T extends Running>(part: T): T;
  /** What is done on SIGHUP, which ends a process that has nothing to read again. */
  onHangup(work: () => void): void;
  /** Does it; false when there is nothing to do. */
  hangUp(): boolean;
  /** Ends the process with exit code 1. */
  fail(): void;
  /** The process ends, for whatever reason. */
  isEnding(): boolean;
}

/**
 * Closes the newest part first, and every one even when another fails; then rejects with the first failure. `onFail`
 * ends the process.
 */
export function createParts(onFail: () => void): Parts {
  const held: Running[] = [];
  const onHangup: (() => void)[] = [];
  let ending = false;
  return {
    fail: () => {
      ending = true;
      onFail();
    },
    isEnding: () => ending,
    onHangup: (work) => void onHangup.push(work),
    hangUp: () => {
      for (const work of onHangup) work();
      return onHangup.length > 0;
    },
    add: (part) => {
      held.push(part);
      return part;
    },
    close: async () => {
      ending = true;
      const failures: unknown[] = [];
      for (const part of held.splice(0).reverse()) {
        await part.close().catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
