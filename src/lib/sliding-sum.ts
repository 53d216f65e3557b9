const slices = 100;

/** What was added within the last `windowMs`. */
export interface SlidingSum {
  add(amount: number): void;
  readonly total: number;
}

/**
 * A sum over a window of `windowMs` that ends now. Amounts are kept by slices of a hundredth of the window and
 * forgotten slice by slice, so an amount counts for 99 to 100 % of the window; memory does not grow with calls.
 */
export function createSlidingSum(windowMs: number, now: () => number): SlidingSum {
  const sliceMs = windowMs / slices;
  const kept: { slice: number; amount: number }[] = [];
  let total = 0;

  const forget = (): number => {
    const current = Math.floor(now() / sliceMs);
    for (let first = kept[0]; first && first.slice <= current - slices; first = kept[0]) {
      total -= first.amount;
      kept.shift();
    }
    return current;
  };

  return {
    add: (amount) => {
      const current = forget();
      const last = kept.at(-1);
      if (last?.slice === current) last.amount += amount;
      else kept.push({ slice: current, amount });
      total += amount;
    },
    get total() {
      forget();
      return total;
    },
  };
}
