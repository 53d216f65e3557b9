import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, Worker, type WorkerOptions } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { fulfilled, TimedOut, withTimeout, withTimeouts } from '../lib/with-timeout.js';
import { partitions } from '../otp/otp-id.js';
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
import { slotDeadlineMs } from '../store/number-ranges.js';
import type { RedisClient } from '../store/script.js';
import type { Store } from '../store/store.js';
import type { WaitingCount, WaitReason } from '../store/waiting-lines.js';
import { type Allowance, createBulkWindow, sum } from './bulk-window.js';
import { withoutStacks } from './job-control.js';
import { createLineRelease, type Released, withoutRangeLimited } from './line-release.js';

/** Longest search for lines whose number range is free, in one turn. */
const turnMs = 500;
/** Deadline of a store call in a turn; later than the one after which a call leaves out a master that is unavailable. */
const callWithinMs = 2 * slotDeadlineMs;
/** Deadline of a recall, which reads all jobs that wait in the send queue. */
const recallWithinMs = 5_000;
/** Delay of a batch that found the window full, and rest of the worker before the next batch. */
const fullForMs = 50;
const restMs = 10;
/** Until the next turn of a batch whose lines wait for something else. */
const nextTurnMs = {
  recalled: 500,
  ownWindow: 100,
  upload: 500,
  unsent: 300,
  rangeLimitedUpload: 5_000,
  failed: 1_000,
  timedOut: 5_000,
  longest: 60_000,
};
/** For each range-limited line, about as long as its check took: a batch of them must not keep a worker busy. */
const restPerLimitedMs = 0.2;
/** Batches of an app that share a turn; with fewer lines each than 1/25 of a turn, the app gets less than its share. */
const batchesPerTurn = 25;
/** Releases of a paced batch. */
const paceEveryMs = 200;
/** A pace that could not be kept is caught up with for this long. */
const catchUpMs = 1_000;

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
        // Many batches that find the window full must not keep the worker busy.
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

/** What a batch's part of a turn begins with. */
interface Turn {
  job: BatchJob;
  facts: BatchFacts;
  count: WaitingCount;
  /** `count` of the lines that may be released. */
  open: WaitingCount;
  /** By partition: lines at the end of the list that are left out, as their number range is limited. */
  rangeLimited: number[];
}

/** A turn of the first batch of its app: it ends, or waits for something, or releases lines, the next ones' as well. */
export function createBatchProcessor(options: BatchWorkerOptions) {
  const { sendOtpQueue, batchQueue, onError } = options;
  const store = withTimeouts(options.store, callWithinMs);
  const { batches, waitingLines } = store;
  const shards = partitions.map((partition) => sendOtpQueue.shardOfPartition(partition));
  const bulkWindow = createBulkWindow({ store, sendOtpQueue, shards });
  const releaseLines = createLineRelease(options);

  const begin = async (job: BatchJob): Promise<Turn> => {
    const { batch } = job.data;
    const [facts, count, before] = await Promise.all([
      batches.facts(batch),
      waitingLines.count(batch),
      waitingLines.held(batch),
    ]);
    // Range-limited lines are left out until all lines of the batch are: then they are checked again.
    const isAllLimited = sum(withoutRangeLimited(count, before)) === 0;
    const rangeLimited = partitions.map((_, i) => (isAllLimited ? 0 : (before[i] ?? 0)));
    const open = { ...count, byPartition: withoutRangeLimited(count, rangeLimited) };
    return { job, facts: facts ?? unknownBatch(job), count, open, rangeLimited };
  };

  const note = async (
    { job, facts, count }: Pick<Turn, 'job' | 'facts' | 'count'>,
    waitsFor: WaitReason | null,
  ) => {
    const { batch, app } = job.data;
    const { waiting, inFlight } = count;
    await waitingLines.note({ batch, app, waiting, inFlight, order: orderOf(facts), waitsFor });
    const progress =
      facts.lines === 0 ? 0 : Math.floor((100 * Math.max(0, facts.lines - waiting)) / facts.lines);
    if (job.progress !== progress) await job.updateProgress(progress);
  };

  const recall = async (batch: string) => {
    let isOver = false;
    const recalling = sendOtpQueue.recall(batch, async (ids) => {
      // Or it and the recall of the next turn would put the same lines back.
      if (isOver) throw new TimedOut(recallWithinMs);
      const otps = ids.map((id) => ({ id }));
      await waitingLines.putBack(otps, 'first');
    });
    await withTimeout(recalling, recallWithinMs).finally(() => (isOver = true));
  };

  /** Lets the next batch of the app have its turns. */
  const leaveAppQueue = async ({ data: { app, batch } }: BatchJob, leaving = [batch]) => {
    const next = await waitingLines.leaveAppQueue(app, ...leaving);
    // The watch wakes it, too.
    if (next !== null && next !== batch) batchQueue.wake(next).catch(() => {});
  };

  /** Ends a batch with no line to release once its released lines are sent and its upload has ended. */
  const finish = async ({ job, facts }: Turn): Promise<Next> => {
    const { batch } = job.data;
    if (facts.cancelledAt !== null) await batches.repeatInPartitions(batch, facts);
    const endsAt = performance.now() + turnMs;
    while ((await waitingLines.takeEnded(batch)) > 0) if (performance.now() > endsAt) return { wait: 1 };
    const count = await waitingLines.count(batch);
    await leaveAppQueue(job);
    const isUnsent = count.waiting > 0 || count.inFlight > 0 || !count.complete;
    if (isUnsent || isUploading(facts, count.at)) {
      await note({ job, facts, count }, null);
      return { wait: isUnsent ? nextTurnMs.unsent : nextTurnMs.upload };
    }
    await batches.markFinished(batch);
    await waitingLines.drop([batch]);
    await job.updateProgress(100);
    return { lines: facts.lines };
  };

  /** Why the batch releases nothing now, and how long it waits; null: it may release. */
  const findObstacle = async (turn: Turn): Promise<{ reason: WaitReason; wait: number } | null> => {
    const { job, facts, count } = turn;
    const { batch } = job.data;
    if (facts.paused || (await store.appPauses.isPaused(facts.app))) {
      // Workers take jobs meanwhile, so one recall may miss some.
      if (count.inFlight > 0) await recall(batch);
      const wait = count.inFlight > 0 ? nextTurnMs.recalled : nextTurnMs.longest;
      return { reason: facts.paused ? 'paused' : 'app_paused', wait };
    }
    if (facts.startAt !== null && facts.startAt > count.at) {
      // It is repeated in each turn.
      void batches.repeatInPartitions(batch, facts).catch(() => {});
      return { reason: 'start', wait: Math.min(facts.startAt - count.at, nextTurnMs.longest) };
    }
    const pace = paceOf(facts, count.at);
    if (pace.lines === 0) return { reason: 'pace', wait: pace.waitMs };
    const first = await waitingLines.joinAppQueue(facts.app, batch, orderOf(facts));
    return first === batch ? null : { reason: 'earlier_batch', wait: behindForMs };
  };

  /** Releases a batch's lines, of those that its app may; null: it may release none. */
  const releaseBatch = async ({ job, facts, count, open, rangeLimited }: Turn, allowed: Allowance) => {
    const { batch } = job.data;
    if (count.waiting === 0) return { leaves: true, wait: 1 };
    const pace = paceOf(facts, count.at);
    const parts = allowed.take(pace.lines, open);
    if (parts.length === 0) return null;
    const isFirst = facts.startedAt === null || !facts.startEventWritten || facts.finishedAt !== null;
    // Its start was put off meanwhile, or it was cancelled.
    if (isFirst && !(await batches.markStarted(batch))) return { leaves: false, wait: 1 };

    const released: Released = { lines: 0, failed: false, rangeWaitMs: 0, rangeLimited };
    const endsAt = performance.now() + turnMs;
    for (const { most, byPartition } of parts) {
      await releaseLines(batch, { most, endsAt }, { ...open, byPartition }, released);
    }
    if (facts.perSecond !== null) {
      await batches.setPaceAt(batch, Math.round(pace.from + (released.lines * 1_000) / facts.perSecond));
    }
    const last = released.rangeWaitMs > 0 ? await waitingLines.count(batch) : null;
    const waitsForRanges =
      last?.complete === true && sum(withoutRangeLimited(last, released.rangeLimited)) === 0;
    const waiting = Math.max(0, count.waiting - released.lines);
    const rest = { ...count, waiting, inFlight: count.inFlight + released.lines };
    await Promise.all([
      waitingLines.noteHeld(batch, waitsForRanges ? [] : released.rangeLimited),
      note({ job, facts, count: rest }, waitsForRanges ? 'number_range' : null),
    ]);
    // The app's next batch goes on where none of these lines is free, none is left, or they wait for their pace.
    const leaves = waitsForRanges || released.lines === 0 || facts.perSecond !== null || waiting === 0;
    const waitMs = (): number => {
      if (waitsForRanges) {
        // Lines that came meanwhile are behind those that were checked.
        const isNew = count.at - facts.lastLineAt < nextTurnMs.longest;
        const longest = isNew ? nextTurnMs.rangeLimitedUpload : nextTurnMs.longest;
        return Math.min(released.rangeWaitMs, longest) + sum(released.rangeLimited) * restPerLimitedMs;
      }
      if (released.failed) return nextTurnMs.failed;
      if (waiting === 0) return nextTurnMs.unsent;
      // At the end of the queue: each app has a turn before this one has its next.
      return facts.perSecond === null ? 1 : Math.max(paceEveryMs, 1_000 / facts.perSecond);
    };
    return { leaves, wait: waitMs() };
  };

  /** Releases lines of the next batches in an app's queue; resolves with what comes next for each. */
  const releaseNext = async ({ app, batch }: BatchPayload, allowed: Allowance) => {
    const [inQueue = []] = await fulfilled([waitingLines.appQueue(app, batchesPerTurn)]);
    const behind = inQueue.slice(inQueue.indexOf(batch) + 1);
    const jobs = await fulfilled(behind.map((next) => batchQueue.job(next)));
    const turns = await fulfilled(jobs.flatMap((job) => (job ? [begin(job)] : [])));
    const all = turns.map(async (next) => {
      const { paused, cancelledAt, perSecond, startAt } = next.facts;
      if (paused || cancelledAt !== null || perSecond !== null || (startAt ?? 0) > next.count.at) return [];
      const { batch } = next.job.data;
      const released = await releaseBatch(next, allowed).catch((error) => {
        onError(error);
        return { leaves: false, wait: nextTurnMs.failed };
      });
      if (!released) return [];
      // Its own turn, which takes lines back, may have been before these were released.
      const isPaused = await batches.facts(batch).then(
        (facts) => facts?.paused ?? false,
        () => true,
      );
      const wait = isPaused ? 1 : Math.ceil(released.wait);
      // Before it leaves: a batch in the queue is woken even if this process ends.
      await batchQueue.wake(batch, wait);
      return [{ batch, leaves: released.leaves, wait }];
    });
    for (const one of all) one.catch(onError);
    return (await fulfilled(all)).flat();
  };

  const release = async (turn: Turn): Promise<Next> => {
    const { job, facts, count, open } = turn;
    const allowed = await bulkWindow.allowance(job, facts, open);
    // Most of a turn is waiting for Redis: that of many short batches takes about as long as that of one.
    const isShort = facts.perSecond === null && count.waiting < allowed.lines;
    const next = isShort ? releaseNext(job.data, allowed) : Promise.resolve([]);
    // This batch takes its lines first; the turn ends after the next ones have theirs.
    const own = await releaseBatch(turn, allowed).finally(() => next);
    const leaving = (await next).filter(({ leaves }) => leaves);
    const names = [...leaving.map(({ batch }) => batch), ...(own?.leaves ? [job.data.batch] : [])];
    if (names.length > 0) await leaveAppQueue(job, names);
    // One that had its own turn before it left waits behind this one.
    await Promise.all(leaving.map(({ batch, wait }) => batchQueue.wake(batch, wait)));
    // Lines of an app on hold, or that wait for credits, fill the share of their app only.
    if (!own) return allowed.isFull ? { wait: fullForMs, isFull: true } : { wait: nextTurnMs.ownWindow };
    return { wait: own.wait };
  };

  const takeTurn = async (job: BatchJob): Promise<Next> => {
    const turn = await begin(job);
    const { facts, count } = turn;
    // A paused batch first takes back what was released.
    const isReleased = count.waiting === 0 && !(facts.paused && count.inFlight > 0);
    if (isReleased || facts.cancelledAt !== null) return await finish(turn);
    const found = await findObstacle(turn);
    if (found === null) return await release(turn);
    if (found.reason !== 'earlier_batch') await leaveAppQueue(job);
    await note(turn, found.reason);
    return { wait: found.wait };
  };
  return async (job: BatchJob): Promise<Next> =>
    await takeTurn(job).catch((error: unknown) => {
      if (!(error instanceof TimedOut)) throw error;
      onError(error);
      return { wait: nextTurnMs.timedOut };
    });
}

/** Lines may be accepted although their batch could not be written down. */
function unknownBatch({ data: { app, name }, timestamp }: BatchJob): BatchFacts {
  return {
    ...{ app, name, createdAt: timestamp, lastLineAt: timestamp, lines: 0, paused: false },
    ...{ startAt: null, perSecond: null, paceAt: null, startedAt: null, startEventWritten: false },
    ...{ finishedAt: null, cancelledAt: null, uploadEndedAt: timestamp },
  };
}

/** How many lines may be released now, since when they count, and when the next may be released if none may. */
function paceOf({ perSecond, paceAt }: BatchFacts, at: number) {
  if (perSecond === null) return { lines: Number.POSITIVE_INFINITY, from: at, waitMs: 0 };
  const from = Math.max(paceAt ?? at, at - catchUpMs);
  const lines = from > at ? 0 : 1 + Math.floor(((at - from) * perSecond) / 1_000);
  return { lines, from, waitMs: Math.max(1, from - at) };
}
