import type { JobTaker } from './intake.js';

/** What is needed of BullMQ's Worker. */
export interface ShardWorker extends JobTaker {
  close(): Promise<void>;
}

/** The workers of several shards, as one that takes jobs: they pause together and share the sends in flight. */
export interface ShardWorkers extends JobTaker {
  /** Serves these shards from now on, too. */
  serve(shards: readonly number[]): void;
  /** Gives the seats that cannot be shared equally to the next shards from now on. */
  rotate(): void;
  close(): Promise<void>;
}

/**
 * `open` makes and starts the worker of one shard, with so many jobs at a time at most. With fewer sends in flight than
 * shards, such as the one that finds out whether iSMS is well again, only so many shards are served, in turns.
 */
export function createShardWorkers(
  open: (shard: number, concurrency: number) => ShardWorker,
  concurrency: number,
): ShardWorkers {
  const workers = new Map<number, ShardWorker>();
  const resting = new Set<ShardWorker>();
  let wanted = concurrency;
  let paused = false;
  let first = 0;

  /** From the one whose turn it is. */
  const inTurn = () => {
    const all = [...workers.values()];
    return [...all.slice(first), ...all.slice(0, first)];
  };
  const served = () => inTurn().slice(0, Math.max(1, wanted));
  const apply = () => {
    const active = new Set(paused ? [] : served());
    const [seats, left] = [Math.floor(wanted / workers.size), wanted % workers.size];
    for (const [i, worker] of inTurn().entries()) {
      const share = Math.max(1, i < left ? seats + 1 : seats);
      if (worker.concurrency !== share) worker.concurrency = share;
      if (!active.has(worker) && !resting.has(worker)) {
        resting.add(worker);
        void worker.pause(true);
      } else if (active.has(worker) && resting.delete(worker)) worker.resume();
    }
  };

  return {
    serve: (shards) => {
      const added = shards.filter((shard) => !workers.has(shard));
      for (const shard of added) workers.set(shard, open(shard, 1));
      if (added.length > 0) apply();
    },
    rotate: () => {
      if (wanted % workers.size === 0) return;
      first = (first + Math.max(1, wanted % workers.size)) % workers.size;
      apply();
    },
    get concurrency() {
      return wanted;
    },
    set concurrency(most) {
      if (most === wanted) return;
      wanted = most;
      apply();
    },
    pause: async () => {
      paused = true;
      apply();
    },
    resume: () => {
      paused = false;
      apply();
      // BullMQ can miss a resume that comes just as it pauses.
      for (const worker of served()) if (!worker.isRunning()) worker.resume();
    },
    isRunning: () => !paused && served().every((worker) => worker.isRunning()),
    close: async () => {
      await Promise.all([...workers.values()].map((worker) => worker.close()));
    },
  };
}
