import type { JobTaker } from './intake.js';

/** What is needed of BullMQ's Worker. */
export interface ShardWorker extends JobTaker {
  close(): Promise<void>;
}

/** The workers of several shards, as one that takes jobs: they pause together and share the sends in flight. */
export interface ShardWorkers extends JobTaker {
  /** Serves these shards from now on, too. */
  serve(shards: readonly number[]): void;
  close(): Promise<void>;
}

/** `open` makes and starts the worker of one shard, with so many jobs at a time at most. */
export function createShardWorkers(
  open: (shard: number, concurrency: number) => ShardWorker,
  concurrency: number,
): ShardWorkers {
  const workers = new Map<number, ShardWorker>();
  let wanted = concurrency;
  let paused = false;
  const all = () => [...workers.values()];
  /** Each at least one: with more shards than sends in flight, there is one more for each. */
  const share = () => Math.max(1, Math.floor(wanted / Math.max(1, workers.size)));
  const divide = () => {
    for (const worker of workers.values()) worker.concurrency = share();
  };
  return {
    serve: (shards) => {
      const added = shards.filter((shard) => !workers.has(shard));
      for (const shard of added) {
        const worker = open(shard, share());
        workers.set(shard, worker);
        if (paused) void worker.pause(true);
      }
      if (added.length > 0) divide();
    },
    get concurrency() {
      return wanted;
    },
    set concurrency(most) {
      if (most === wanted) return;
      wanted = most;
      divide();
    },
    pause: async (doNotWaitActive) => {
      paused = true;
      await Promise.all(all().map((worker) => worker.pause(doNotWaitActive)));
    },
    resume: () => {
      paused = false;
      for (const worker of workers.values()) worker.resume();
    },
    isRunning: () => all().every((worker) => worker.isRunning()),
    close: async () => {
      await Promise.all(all().map((worker) => worker.close()));
    },
  };
}
