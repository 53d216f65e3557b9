import type { RefusedCall } from '../store/sending-pause.js';

/** So many different numbers refused in a row, and calls are made one at a time until it is known why. */
const several = 2;

/** The calls of this process that were refused in unknown words, in a row. */
export interface Refusals {
  /** Whether calls are to be made one at a time. */
  readonly several: boolean;
  /** Makes a call; those under way at the same time may still be accepted. */
  during<T>(call: () => Promise<T>): Promise<T>;
  /** Notes a refusal; answers all in a row, or none while other calls are under way that may end the row. */
  add(call: RefusedCall): readonly RefusedCall[];
  /** Refusals of calls claimed before an accepted one were not the account's; true when there were some. */
  noteAccepted(claimedAt: number): boolean;
  clear(): void;
}

/** By number: one that is refused again and again says nothing about others. */
export function createRefusals(): Refusals {
  const inARow = new Map<string, RefusedCall>();
  let underWay = 0;
  return {
    get several() {
      return inARow.size >= several;
    },
    during: async (call) => {
      underWay += 1;
      try {
        return await call();
      } finally {
        underWay -= 1;
      }
    },
    add: (call) => {
      inARow.set(call.to.e164, call);
      return underWay === 0 ? [...inARow.values()] : [];
    },
    noteAccepted: (claimedAt) => {
      const before = inARow.size;
      for (const [number, call] of inARow) if (call.claimedAt < claimedAt) inARow.delete(number);
      return inARow.size < before;
    },
    clear: () => inARow.clear(),
  };
}
