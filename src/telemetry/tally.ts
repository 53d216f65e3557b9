/** Counts since somebody took them, beside the metrics: what the overview page shows of all processes together. */
export interface Tally {
  add(name: string, count?: number): void;
  /** Takes what was counted; to be given back when nobody could write it down. */
  take(): Record<string, number>;
  giveBack(counts: Record<string, number>): void;
}

export function createTally(): Tally {
  let counts = new Map<string, number>();
  const add = (name: string, count = 1) => void counts.set(name, (counts.get(name) ?? 0) + count);
  return {
    add,
    take: () => {
      const taken = Object.fromEntries(counts);
      counts = new Map();
      return taken;
    },
    giveBack: (taken) => {
      for (const [name, count] of Object.entries(taken)) add(name, count);
    },
  };
}
