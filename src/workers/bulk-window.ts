import type { BatchJob } from '../queues/batch.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { BatchFacts } from '../store/batches.js';
import type { Store } from '../store/store.js';
import type { WaitingCount } from '../store/waiting-lines.js';

/** Released lines that wait in the send queue: about two seconds of sends, so that other OTPs wait little. */
const windowSeconds = 2;
const window = { least: 100, most: 20_000 };
/** Apps share the window equally, with an eighth each at least; lines of apps that have no more may be there as well. */
const leastShareOf = 8;
const spare = 1.25;
/** Batches of one app whose released lines are counted in each turn of another; those with the most (why 25: ADR 44). */
const countedAgain = 25;
/** A turn is at most this share of the window, so that others soon have theirs. */
const turnShare = 1 / 4;
const turn = { least: 25, most: 2_000 };
const sampleEveryMs = 500;
const rateOverMs = 10_000;

interface BulkWindowOptions {
  store: Pick<Store, 'waitingLines' | 'load'>;
  sendOtpQueue: Pick<SendOtpQueue, 'bulkByShard'>;
  /** The shard of each partition. */
  shards: readonly number[];
}

/** What an app may release in a turn. */
export type Allowance = Awaited<ReturnType<ReturnType<typeof createBulkWindow>['allowance']>>;

/** The window of released lines that wait in the send queue, which apps share (ADR 44). */
export function createBulkWindow({ store: { waitingLines, load }, sendOtpQueue, shards }: BulkWindowOptions) {
  const sendRate = createSendRate(load);

  /** Apps that share the window with this one, itself among them, and what its other batches have in flight. */
  const sharing = async ({ data: { app, batch } }: BatchJob) => {
    const active = await waitingLines.active();
    // Behind an earlier batch, which has turns, or has just had its last.
    const withTurns = active.filter(
      ({ waiting, waitsFor }) => waiting > 0 && (waitsFor === null || waitsFor === 'earlier_batch'),
    );
    const others = active
      .filter((other) => other.app === app && other.batch !== batch && other.inFlight > 0)
      .sort((a, b) => b.inFlight - a.inFlight);
    // What was noted may have been sent since.
    const counted = await Promise.all(
      others.slice(0, countedAgain).map((other) => waitingLines.count(other.batch)),
    );
    return {
      apps: new Set([app, ...withTurns.map((other) => other.app)]).size,
      inFlight: sum([...counted, ...others.slice(countedAgain)].map(({ inFlight }) => inFlight)),
    };
  };

  return {
    /**
     * The lines that the app of a batch may release in this turn; `isFull`: the window of a shard that has some of the
     * batch is full, for all batches. `open` counts the lines that may be released.
     */
    async allowance(job: BatchJob, { perSecond }: BatchFacts, open: WaitingCount) {
      const [rate, { apps, inFlight }, bulk] = await Promise.all([
        sendRate(),
        sharing(job),
        sendOtpQueue.bulkByShard(),
      ]);
      const mostOfAll = clamp(windowSeconds * rate, window);
      const share = Math.max(0, mostOfAll / Math.min(leastShareOf, apps) - inFlight);
      // A pace that was held up must not be caught up with at once.
      const most = Math.ceil(Math.min(share, windowSeconds * (perSecond ?? mostOfAll)));
      const all = new Set(shards);
      const perShard = (lines: number) => Math.ceil(lines / all.size);
      const byShard = new Map<number, number>();
      let isFull = false;
      for (const shard of all) {
        const ofShard = (of: readonly number[]) => sum(of.filter((_, i) => shards[i] === shard));
        const waitingThere = bulk.get(shard);
        if (waitingThere === undefined) continue;
        const ofAll = perShard(spare * mostOfAll) - waitingThere;
        isFull ||= ofAll <= 0 && ofShard(open.byPartition) > 0;
        const lines = Math.min(ofAll, perShard(most) - ofShard(open.inFlightByPartition));
        if (lines > 0) byShard.set(shard, lines);
      }
      const lines = Math.min(clamp(mostOfAll * turnShare, turn), sum([...byShard.values()]));
      let free = lines;
      return {
        lines,
        isFull,
        /** Takes up to `most` lines of a batch from what its app may release: for each shard how many, and its lines by partition. */
        take: (most: number, { byPartition }: WaitingCount) => {
          let left = Math.min(most, free);
          const parts = [...byShard].map(([shard, ofShard]) => {
            const there = byPartition.map((waiting, p) => (shards[p] === shard ? waiting : 0));
            return { shard, byPartition: there, most: Math.min(ofShard, sum(there)) };
          });
          // What one of few lines leaves over goes to the others.
          parts.sort((a, b) => a.most - b.most);
          for (const [i, part] of parts.entries()) {
            part.most = Math.min(part.most, Math.floor(left / (parts.length - i)));
            byShard.set(part.shard, (byShard.get(part.shard) ?? 0) - part.most);
            free -= part.most;
            left -= part.most;
          }
          return parts.filter((part) => part.most > 0);
        },
      };
    },
  };
}

function clamp(value: number, { least, most }: { least: number; most: number }): number {
  return Math.floor(Math.min(most, Math.max(least, value)));
}

export function sum(of: readonly number[]): number {
  return of.reduce((a, b) => a + b, 0);
}

/** Sends a second of all workers: the highest of the last 10 s, so that a pause of the provider does not count. */
function createSendRate(load: Pick<Store['load'], 'done'>): () => Promise<number> {
  let samples: { at: number; done: number }[] = [];
  return async () => {
    const at = performance.now();
    const last = samples.at(-1);
    if (!last || at - last.at >= sampleEveryMs) {
      samples = [...samples.filter((sample) => at - sample.at < rateOverMs), { at, done: await load.done() }];
    }
    let highest = 0;
    for (const [i, to] of samples.entries()) {
      const from = samples.slice(0, i).findLast((sample) => to.at - sample.at >= 2 * sampleEveryMs);
      if (from) highest = Math.max(highest, ((to.done - from.done) * 1_000) / (to.at - from.at));
    }
    return highest;
  };
}
