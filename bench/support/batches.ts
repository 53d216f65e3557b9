/** Does something for each number below `count`, two hundred at a time; the answers are in order. */
export async function inBatches<T>(count: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (let first = 0; first < count; first += 200) {
    const size = Math.min(200, count - first);
    done.push(...(await Promise.all(Array.from({ length: size }, (_, i) => work(first + i)))));
  }
  return done;
}
