import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, Worker, type WorkerOptions } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { withTimeout } from '../lib/with-timeout.js';
import { partitionOfId, partitions } from '../otp/otp-id.js';
import {
  type BatchJob,
  type BatchPayload,
  type BatchQueue,
  type BatchResult,
  type batchJob,
  behindForMs,
} from '../queues/batch.js';
import { queueNames, queuePrefix } from '../queues/queues.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import { isUploading, orderOf } from '../store/batch-progress.js';
import type { BatchFacts } from '../store/batches.js';
import { rangeWarning } from '../store/number-ranges.js';
import type { RedisClient } from '../store/script.js';
import type { Store } from '../store/store.js';
import type { WaitingCount, WaitReason } from '../store/waiting-lines.js';
import { withoutStacks } from './job-control.js';

/** Released lines that wait in the send queue: about two seconds of sends, so that single OTPs and new apps wait little. */
const windowSeconds = 2;
const window = { least: 100, most: 20_000 };
/** Apps share the window equally, with an eighth each at least; released lines of apps that ended may be there as well. */
const leastShareOf = 8;
const spare = 1.25;
/** Batches of one app whose released lines are counted in each turn of another; those with the most. */
const countedAgain = 8;
/** A turn is at most this share of the window, so that others soon have theirs. */
const turnShare = 1 / 4;
const turn = { least: 25, most: 2_000 };
/** A turn ends after so long, though it looks for lines that are free. */
const turnMs = 500;
/** A slice whose shard or range does not answer is given up. */
const addWithinMs = 5_000;
/** Lines added in one call. */
const slice = 200;
/** When a batch looks again that found the window full, and how long the worker rests before the next looks. */
const fullForMs = 50;
const restMs = 10;
/** When a batch is looked at again whose lines wait for something else. */
const lookAgainMs = {
  recalled: 500,
  ownWindow: 100,
  upload: 500,
  unsent: 300,
  paused: 60_000,
  heldUpload: 5_000,
};
/** For each held line, about as long as looking at it took: a batch of them must not keep a worker busy. */
const restPerHeldMs = 0.2;
/** Releases of a paced batch. */
const paceEveryMs = 200;
/** A pace that could not be kept is caught up with for this long. */
const catchUpMs = 1_000;
const sampleEveryMs = 500;
const rateOverMs = 10_000;

interface BatchWorkerOptions {
  redis: RedisClient;
  store: Pick<Store, 'batches' | 'waitingLines' | 'load' | 'ranges' | 'appPauses'>;
  sendOtpQueue: Pick<SendOtpQueue, 'addBulk' | 'recall' | 'bulkByShard' | 'shardOfPartition'>;
  batchQueue: BatchQueue;
  logger: Logger;
  fraudGuardEnforces: boolean;
  onError(error: unknown): void;
}

/** Releases the lines of batches into the send queue; a job is a batch, and each run of it a turn (ADR 44). */
export function startBatchWorker(options: BatchWorkerOptions, workerOptions: Partial<WorkerOptions>) {
  const release = createBatchProcessor(options);
  const worker = new Worker<BatchPayload, BatchResult, typeof batchJob>(
    queueNames.batch,
    (job, token = '') =>
      withoutStacks(options.logger, () => release(job)).then(async (next) => {
        if ('lines' in next) return next;
        // Many batches that find the window full must not look all the time.
        if (next.isFull) await sleep(restMs);
        await job.moveToDelayed(Date.now() + Math.ceil(next.wait), token);
        throw new DelayedError();
      }),
    { ...workerOptions, prefix: queuePrefix, connection: options.redis, concurrency: 1 },
  );
  return worker.on('error', (error) => options.onError(error));
}

/** A turn's result: the job ends, or waits so many ms. `isFull`: the window is full for all batches. */
type Next = BatchResult | { wait: number; isFull?: true };

/** One turn of a batch. */
export function createBatchProcessor({
  store,
  sendOtpQueue,
  batchQueue,
  logger,
  fraudGuardEnforces,
}: BatchWorkerOptions) {
  const { batches, waitingLines } = store;
  const rate = createRate(store);
  const shardsOf = partitions.map((partition) => sendOtpQueue.shardOfPartition(partition));

  const note = async (
    job: BatchJob,
    facts: BatchFacts,
    { waiting, inFlight }: WaitingCount,
    waitsFor: WaitReason | null,
  ) => {
    const { batch, app } = job.data;
    await waitingLines.note({ batch, app, waiting, inFlight, order: orderOf(facts), waitsFor });
    const progress =
      facts.lines === 0 ? 0 : Math.floor((100 * Math.max(0, facts.lines - waiting)) / facts.lines);
    if (job.progress !== progress) await job.updateProgress(progress);
  };

  /**
   * Adds the jobs of released lines. Those whose number range is limited wait again, behind the others, and are added to
   * `held`, by partition.
   */
  const add = async (batch: string, most: number, count: WaitingCount, held: number[]) => {
    const released = await waitingLines.release(batch, most, count);
    const judged = await store.ranges.judge(released);
    const limited = released.filter((_, i) => judged[i]?.waitMs).map(({ otp }) => otp);
    const free = released.filter((_, i) => !judged[i]?.waitMs).map(({ otp }) => otp);
    for (const [i, { decision }] of judged.entries()) {
      const otp = released[i]?.otp;
      if (decision && otp) logger.warn(...rangeWarning(otp, { decision, enforced: fraudGuardEnforces }));
    }
    // The sweeper looks at those that are still queued later.
    if (free.length > 0) await sendOtpQueue.addBulk(batch, free);
    if (limited.length > 0) await waitingLines.putBack(limited, 'last');
    for (const { id } of limited) {
      const place = partitions.indexOf(partitionOfId(id) ?? '');
      held[place] = (held[place] ?? 0) + 1;
    }
    return {
      free: free.length,
      looked: free.length + limited.length,
      heldForMs: Math.max(0, ...judged.map(({ waitMs }) => waitMs)),
    };
  };

  /**
   * The same until so many were free; `count` names only partitions of one shard, which must not hold up others.
   */
  const addInSlices = async (
    batch: string,
    { most, endsAt }: { most: number; endsAt: number },
    count: WaitingCount,
    held: number[],
  ) => {
    const all = { free: 0, looked: 0, heldForMs: 0 };
    while (all.free < most && (all.looked === 0 || performance.now() < endsAt)) {
      const current = all.looked === 0 ? count : await recount(batch, count, held);
      const adding = withTimeout(add(batch, Math.min(most - all.free, slice), current, held), addWithinMs);
      // The sweeper finds what was released.
      const added = await adding.catch(() => null);
      if (!added || added.looked === 0) break;
      all.free += added.free;
      all.looked += added.looked;
      all.heldForMs = Math.max(all.heldForMs, added.heldForMs);
    }
    return all;
  };

  /** Counts the partitions again that have lines in `count`. */
  const recount = async (batch: string, { byPartition: before }: WaitingCount, held: readonly number[]) => {
    const count = await waitingLines.count(batch);
    const byPartition = withoutHeld(count, held).map((lines, i) => ((before[i] ?? 0) > 0 ? lines : 0));
    return { ...count, byPartition };
  };

  /** How many lines each shard takes that has lines of the batch, without those that take none. */
  const roomsOf = async (count: WaitingCount, most: number, mostOfAll: number) => {
    const bulk = await sendOtpQueue.bulkByShard();
    const shards = new Set(shardsOf);
    const perShard = (all: number) => Math.ceil(all / shards.size);
    const rooms = new Map<number, number>();
    let isFull = false;
    for (const shard of shards) {
      const ofShard = (of: readonly number[]) => sum(of.filter((_, i) => shardsOf[i] === shard));
      const waitingThere = bulk.get(shard);
      if (waitingThere === undefined || ofShard(count.byPartition) === 0) continue;
      const roomOfAll = perShard(spare * mostOfAll) - waitingThere;
      isFull ||= roomOfAll <= 0;
      const room = Math.min(roomOfAll, perShard(most) - ofShard(count.inFlightByPartition));
      if (room > 0) rooms.set(shard, room);
    }
    return { rooms, isFull: isFull || undefined } as { rooms: typeof rooms; isFull?: true };
  };

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

  const recall = async (batch: string) =>
    await sendOtpQueue.recall(batch, async (ids) => {
      const otps = ids.map((id) => ({ id }));
      await waitingLines.putBack(otps, 'first');
    });

  /** Lets the next batch of the app have its turns. */
  const leaveAppQueue = async ({ data: { batch, app } }: BatchJob) => {
    const next = await waitingLines.leaveAppQueue(app, batch);
    // The watch wakes it, too.
    if (next !== null && next !== batch) batchQueue.wake(next).catch(() => {});
  };

  const finish = async (job: BatchJob, facts: BatchFacts, count: WaitingCount): Promise<Next> => {
    const { batch } = job.data;
    await leaveAppQueue(job);
    const isUnsent = count.waiting > 0 || count.inFlight > 0 || !count.complete;
    if (isUnsent || isUploading(facts, count.at)) {
      await note(job, facts, count, null);
      return { wait: isUnsent ? lookAgainMs.unsent : lookAgainMs.upload };
    }
    await batches.finish(batch);
    await waitingLines.drop([batch]);
    await job.updateProgress(100);
    return { lines: facts.lines };
  };

  return async (job: BatchJob): Promise<Next> => {
    const { batch } = job.data;
    const facts = (await batches.facts(batch)) ?? unknownBatch(job);
    const count = await waitingLines.count(batch);
    if (count.waiting === 0 || facts.cancelledAt !== null) {
      if (facts.cancelledAt !== null) await batches.repeatInPartitions(batch, facts);
      while ((await waitingLines.takeEnded(batch)) > 0);
      return await finish(job, facts, await waitingLines.count(batch));
    }
    const waitFor = async (reason: WaitReason, wait: number): Promise<Next> => {
      if (reason !== 'earlier_batch') await leaveAppQueue(job);
      await note(job, facts, count, reason);
      return { wait };
    };
    if (facts.paused || (await store.appPauses.isPaused(facts.app))) {
      // Workers take jobs meanwhile, so one look may miss some.
      if (count.inFlight > 0) await recall(batch);
      return await waitFor(
        facts.paused ? 'paused' : 'app_paused',
        count.inFlight > 0 ? lookAgainMs.recalled : lookAgainMs.paused,
      );
    }
    if (facts.startAt !== null && facts.startAt > count.at) {
      await batches.repeatInPartitions(batch, facts);
      return await waitFor('start', Math.min(facts.startAt - count.at, lookAgainMs.paused));
    }
    const paced = paceOf(facts, count.at);
    if (paced.lines === 0) return await waitFor('pace', paced.waitMs);
    const first = await waitingLines.joinAppQueue(facts.app, batch, orderOf(facts));
    if (first !== batch) return await waitFor('earlier_batch', behindForMs);

    const mostOfAll = clamp(windowSeconds * (await rate()), window);
    const { apps, inFlight } = await sharing(job);
    const before = await waitingLines.held(batch);
    const isAllHeld = sum(withoutHeld(count, before)) === 0;
    const held = partitions.map((_, i) => (isAllHeld ? 0 : (before[i] ?? 0)));
    const open = { ...count, byPartition: withoutHeld(count, held) };
    const share = Math.max(0, mostOfAll / Math.min(leastShareOf, apps) - inFlight);
    // A pace that was held up must not be caught up with at once.
    const most = Math.ceil(Math.min(share, windowSeconds * (facts.perSecond ?? mostOfAll)));
    const { rooms, isFull } = await roomsOf(open, most, mostOfAll);
    // Lines of an app on hold, or that wait for credits, fill the share of their app only.
    if (rooms.size === 0) return isFull ? { wait: fullForMs, isFull } : { wait: lookAgainMs.ownWindow };
    const isFirst = facts.startedAt === null || !facts.startTold || facts.finishedAt !== null;
    // Its start was put off meanwhile.
    if (isFirst && !(await batches.begin(batch))) return { wait: 1 };
    let [left, released, heldForMs] = [Math.min(clamp(mostOfAll * turnShare, turn), paced.lines), 0, 0];
    const endsAt = performance.now() + turnMs;
    for (const [shard, room] of rooms) {
      const ofShard = {
        ...open,
        byPartition: open.byPartition.map((waiting, i) => (shardsOf[i] === shard ? waiting : 0)),
      };
      const lines = Math.min(room, Math.ceil(left / rooms.size), left);
      const added = await addInSlices(batch, { most: lines, endsAt }, ofShard, held);
      left -= added.free;
      released += added.free;
      heldForMs = Math.max(heldForMs, added.heldForMs);
    }
    if (facts.perSecond !== null) {
      await batches.change(batch, { paceAt: Math.round(paced.from + (released * 1_000) / facts.perSecond) });
    }
    const rest = {
      ...count,
      waiting: Math.max(0, count.waiting - released),
      inFlight: count.inFlight + released,
    };
    const last = heldForMs > 0 ? await waitingLines.count(batch) : null;
    const waitsForRanges = last?.complete === true && sum(withoutHeld(last, held)) === 0;
    await waitingLines.noteHeld(batch, waitsForRanges ? [] : held);
    await note(job, facts, rest, waitsForRanges ? 'number_range' : null);
    if (waitsForRanges) {
      await leaveAppQueue(job);
      // Lines that came meanwhile are behind those that were looked at.
      const isNew = count.at - facts.lastLineAt < lookAgainMs.paused;
      const most = isNew ? lookAgainMs.heldUpload : lookAgainMs.paused;
      return { wait: Math.min(heldForMs, most) + sum(held) * restPerHeldMs };
    }
    // The app's next batch goes on where none of these lines is free, none is left, or they wait for their pace.
    if (released === 0 || rest.waiting === 0 || facts.perSecond !== null) await leaveAppQueue(job);
    // At the end of the queue: each app has a turn before this one has its next.
    return { wait: facts.perSecond === null ? 1 : Math.max(paceEveryMs, 1_000 / facts.perSecond) };
  };
}

/** Lines may be accepted although their batch could not be written down. */
function unknownBatch({ data: { app, name }, timestamp }: BatchJob): BatchFacts {
  return {
    ...{ app, name, createdAt: timestamp, lastLineAt: timestamp, lines: 0, paused: false },
    ...{ startAt: null, perSecond: null, paceAt: null, startedAt: null, startTold: false },
    ...{ finishedAt: null, cancelledAt: null, uploadEndedAt: timestamp },
  };
}

function sum(of: readonly number[]): number {
  return of.reduce((a, b) => a + b, 0);
}

/** The lines of each partition that were not looked at since the batch last waited for number ranges. */
function withoutHeld({ byPartition }: WaitingCount, held: readonly number[]): number[] {
  return byPartition.map((lines, i) => Math.max(0, lines - (held[i] ?? 0)));
}

/** How many lines may be released now, since when they count, and when the next may be released if none may. */
function paceOf({ perSecond, paceAt }: BatchFacts, at: number) {
  if (perSecond === null) return { lines: Number.POSITIVE_INFINITY, from: at, waitMs: 0 };
  const from = Math.max(paceAt ?? at, at - catchUpMs);
  const lines = from > at ? 0 : 1 + Math.floor(((at - from) * perSecond) / 1_000);
  return { lines, from, waitMs: Math.max(1, from - at) };
}

function clamp(value: number, { least, most }: { least: number; most: number }): number {
  return Math.floor(Math.min(most, Math.max(least, value)));
}

/** Sends a second of all workers: the highest of the last 10 s, so that a pause of the provider does not count. */
function createRate({ load }: { load: Pick<Store['load'], 'done'> }): () => Promise<number> {
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
