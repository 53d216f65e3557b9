import { type Job, Worker } from 'bullmq';
import type { JobTaker } from './job-gate.js';

/** The part of {@link EagerWorker} that is used. */
export interface ShardWorker extends Pick<JobTaker, 'pause' | 'resume' | 'isRunning'> {
  setMaxConcurrency(most: number): void;
  close(): Promise<void>;
}

/**
 * A Worker that starts each job when it is fetched. BullMQ fetches jobs, in a Redis call each, until it has `concurrency`
 * of them or none is left, and only then starts the first. So `concurrency` follows the active jobs, plus one; the limit
 * is set by `setMaxConcurrency`.
 */
export class EagerWorker<Data, Result, Name extends string> extends Worker<Data, Result, Name> {
  /** Jobs in process, and those that came with the end of another and start next. */
  readonly #active = new Set<Job<Data, Result, Name>>();
  #maxConcurrency = 1;

  setMaxConcurrency(most: number) {
    this.#maxConcurrency = most;
    this.#adapt();
  }

  #adapt() {
    this.concurrency = Math.min(this.#maxConcurrency, this.#active.size + 1);
  }

  override async processJob(...args: Parameters<Worker<Data, Result, Name>['processJob']>) {
    const [job, token, fetchesNext = () => true] = args;
    this.#active.add(job);
    this.#adapt();
    // When a job ends, BullMQ fetches the next with it if the active jobs are no more than `concurrency`.
    const withinLimit = () => {
      this.concurrency = this.#maxConcurrency;
      const fetches = fetchesNext();
      this.#adapt();
      return fetches;
    };
    const next = await super.processJob(job, token, withinLimit).finally(() => this.#active.delete(job));
    if (next) this.#active.add(next);
    this.#adapt();
    return next;
  }
}

/**
 * The workers of several shards as one: they pause together and share the sends in flight. `open` starts the worker of
 * one shard. With fewer sends in flight than shards, such as one probe, only as many shards are served, in rotation.
 */
export function createShardWorkers(open: (shard: number) => ShardWorker, concurrency: number) {
  const workers = new Map<number, ShardWorker>();
  let emptied = new Set<number>();
  const pausedWorkers = new Set<ShardWorker>();
  let limit = concurrency;
  let paused = false;
  let first = 0;

  const inUse = () => [...workers].filter(([shard]) => !emptied.has(shard)).map(([, worker]) => worker);
  /** Beginning with the one that `rotate` has reached. */
  const inTurn = () => {
    const all = inUse();
    return [...all.slice(first), ...all.slice(0, first)];
  };
  const served = () => {
    const most = Math.max(1, limit);
    return most <= inUse().length ? inTurn().slice(0, most) : [...workers.values()];
  };
  const apply = () => {
    const active = new Set(paused ? [] : served());
    const shares = inTurn();
    const [baseShare, left] = [Math.floor(limit / shares.length), limit % shares.length];
    for (const worker of workers.values()) {
      const place = shares.indexOf(worker);
      worker.setMaxConcurrency(place === -1 ? 1 : Math.max(1, place < left ? baseShare + 1 : baseShare));
      if (!active.has(worker) && !pausedWorkers.has(worker)) {
        pausedWorkers.add(worker);
        void worker.pause(true);
      } else if (active.has(worker) && pausedWorkers.delete(worker)) worker.resume();
    }
  };

  return {
    /** Serves these shards as well. `emptied` ones have no jobs left and get one send in flight each. */
    serve: (shards: readonly number[], emptiedNow: readonly number[]) => {
      const added = shards.filter((shard) => !workers.has(shard));
      for (const shard of added) workers.set(shard, open(shard));
      const changed = emptiedNow.length !== emptied.size || emptiedNow.some((shard) => !emptied.has(shard));
      if (added.length === 0 && !changed) return;
      emptied = new Set(emptiedNow);
      apply();
    },
    /** Gives the sends in flight that cannot be shared equally to the next shards. */
    rotate: () => {
      const count = inUse().length;
      if (count < 2 || limit % count === 0) return;
      first = (first + Math.max(1, limit % count)) % count;
      apply();
    },
    get concurrency() {
      return limit;
    },
    set concurrency(most: number) {
      if (most === limit) return;
      limit = most;
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
