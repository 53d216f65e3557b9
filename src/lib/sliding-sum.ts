const slices = 100;

/**
 * The sum of the amounts added within the last `windowMs`. They are kept in slices of a hundredth of the window, so an
 * amount counts for 99 to 100 % of it, and memory does not grow with calls.
 */
export function createSlidingSum(windowMs: number, now: () => number) {
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
    add: (amount: number) => {
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
