/** Keeps the newest `capacity` items; adding one takes constant time. */
interface Ring<T> {
  /** Adds an item; returns the one that it replaced in a full ring. */
  push(item: T): T | undefined;
  newestFirst(): Iterable<T>;
  clear(): void;
}

/** Creates an empty ring; its memory grows up to `capacity` items. */
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
