/** Which line of a file each OTP of an upload stands on. */
export interface LineNumbers {
  /** To be called for each OTP in its order. */
  note(line: number): void;
  /** By its index; to be asked in rising order, as what came before is forgotten. */
  lineOf(index: number): number;
}

/** Holds only where lines were passed over, and only those not yet asked for. */
export function createLineNumbers(): LineNumbers {
  const shifts: { from: number; by: number }[] = [];
  let noted = 0;
  let current = 0;
  let newest = 0;
  return {
    note: (line) => {
      const by = line - noted;
      if (by !== newest) shifts.push({ from: noted, by });
      newest = by;
      noted += 1;
    },
    lineOf: (index) => {
      for (let next = shifts[0]; next && next.from <= index; next = shifts[0]) {
        current = next.by;
        shifts.shift();
      }
      return index + current;
    },
  };
}
