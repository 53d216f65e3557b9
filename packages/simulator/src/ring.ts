/** Keeps the newest `capacity` items; every operation but the walk takes constant time. */
export interface Ring<T> {
  /** Adds an item and returns the one it pushed out, if the ring was full. */
  push(item: T): T | undefined;
  newestFirst(): Iterable<T>;
  clear(): void;
}

/** Makes an empty ring; memory grows with what is pushed, up to `capacity` items. */
export function createRing<T>(capacity: number): Ring<T> {
  let items: T[] = [];
  let pushed = 0;
  return {
    push(item) {
      const slot = pushed++ % capacity;
      const evicted = items[slot];
      items[slot] = item;
      return evicted;
    },
    *newestFirst() {
      for (let back = 1; back <= items.length; back++) {
        const item = items[(pushed - back) % capacity];
        if (item !== undefined) yield item;
      }
    },
    clear() {
      items = [];
      pushed = 0;
    },
  };
}
