import { DelayedError, RateLimitError, Worker, type WorkerOptions } from 'bullmq';
import type { Logger } from '../lib/logger.js';
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
import { isUploading } from '../store/batch-progress.js';
import type { BatchFacts } from '../store/batches.js';
import { rangeWarning } from '../store/number-ranges.js';
import type { RedisClient } from '../store/script.js';
import type { Store } from '../store/store.js';
import type { WaitingCount, WaitReason } from '../store/waiting-lines.js';
import { withoutStacks } from './job-control.js';

/** Released lines that wait in the send queue: about two seconds of sends, so that single OTPs and new apps wait little. */
const windowSeconds = 2;
const window = { least: 100, most: 20_000 };
/** A batch's turn is this share of the window, so that apps share it equally. */
const turnShare = 1 / 4;
const turn = { least: 25, most: 2_000 };
/** Lines added in one call. */
const slice = 200;
/** How long the queue of batches rests while the window is full. */
const fullForMs = 50;
/** When a batch is looked at again whose lines wait for something else. */
const lookAgainMs = { recalled: 250, ownWindow: 500, upload: 500, unsent: 1_000, paused: 60_000 };
/** Releases of a paced batch. */
const paceEveryMs = 200;
/** A pace that could not be kept is caught up with for this long. */
const catchUpMs = 1_000;
/** Lines taken in one call that have ended. */
const endedAtATime = 500;
const sampleEveryMs = 500;
const rateOverMs = 10_000;

interface BatchWorkerOptions {
  redis: RedisClient;
  store: Pick<Store, 'batches' | 'waitingLines' | 'load' | 'ranges' | 'appPauses'>;
  sendOtpQueue: Pick<SendOtpQueue, 'addBulk' | 'recall' | 'backlog'>;
  batchQueue: BatchQueue;
  logger: Logger;
  fraudGuardEnforces: boolean;
  onError(error: unknown): void;
}

/** Releases the lines of batches into the send queue; a job is a batch, and each run of it a turn (ADR 44). */
export function startBatchWorker(options: BatchWorkerOptions, workerOptions: Partial<WorkerOptions>) {
  const release = createBatchProcessor(options);
  const worker: Worker<BatchPayload, BatchResult, typeof batchJob> = new Worker(
    queueNames.batch,
    (job, token = '') =>
      withoutStacks(options.logger, () => release(job)).then(async (next) => {
        if ('lines' in next) return next;
        if (next.wait === 'window_full') {
          await worker.rateLimit(fullForMs);
          throw new RateLimitError();
        }
        await job.moveToDelayed(Date.now() + next.wait, token);
        throw new DelayedError();
      }),
    {
      ...workerOptions,
      ...{ prefix: queuePrefix, connection: options.redis, concurrency: 1 },
      // BullMQ obeys `rateLimit` only in workers with a limiter; this one never limits.
      limiter: { max: 1_000_000_000, duration: 1_000 },
    },
  );
  return worker.on('error', (error) => options.onError(error));
}

/** A turn's result: the job ends, or waits so many ms; `window_full`: no batch has a turn for a moment. */
type Next = BatchResult | { wait: number | 'window_full' };

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

  const note = async (
    job: BatchJob,
    facts: BatchFacts,
    { waiting }: WaitingCount,
    waitsFor: WaitReason | null,
  ) => {
    const { batch, app } = job.data;
    await waitingLines.note({ batch, app, waiting, order: orderOf(facts), waitsFor });
    const progress =
      facts.lines === 0 ? 0 : Math.floor((100 * Math.max(0, facts.lines - waiting)) / facts.lines);
    if (job.progress !== progress) await job.updateProgress(progress);
  };

  /** Adds the jobs of released lines; those whose number range is limited wait again. Resolves with the number added. */
  const add = async (batch: string, most: number, count: WaitingCount) => {
    const released = await waitingLines.release(batch, most, count);
    const judged = await store.ranges.judge(released);
    const held = released.filter((_, i) => judged[i]?.waitMs).map(({ otp }) => otp);
    const free = released.filter((_, i) => !judged[i]?.waitMs).map(({ otp }) => otp);
    for (const [i, { decision }] of judged.entries()) {
      const otp = released[i]?.otp;
      if (decision && otp) logger.warn(...rangeWarning(otp, { decision, enforced: fraudGuardEnforces }));
    }
    // The sweeper looks at those that are still queued later.
    if (free.length > 0) await sendOtpQueue.addBulk(batch, free);
    if (held.length > 0) await waitingLines.putBack(held, 'last');
    return {
      free: free.length,
      heldForMs: held.length > 0 ? Math.max(...judged.map(({ waitMs }) => waitMs)) : 0,
    };
  };

  const recall = async (batch: string) =>
    await sendOtpQueue.recall(batch, (ids) =>
      waitingLines.putBack(
        ids.map((id) => ({ id })),
        'first',
      ),
    );

  /** Lets the next batch of the app have its turns. */
  const leaveLine = async ({ data: { batch, app } }: BatchJob) => {
    const next = await waitingLines.leaveLine(app, batch);
    // The watch wakes it, too.
    if (next !== null && next !== batch) batchQueue.wake(next).catch(() => {});
  };

  /** Takes lines that have ended, such as cancelled ones, which is written down as they are taken. */
  const takeEnded = async (batch: string) => {
    for (let left = Number.POSITIVE_INFINITY; ; ) {
      const count = await waitingLines.count(batch);
      const lines = count.byPartition.reduce((sum, each) => sum + each, 0);
      // Lines of a master that does not answer, or that were accepted meanwhile, are left to the next turn.
      if (lines === 0 || lines >= left) return count;
      left = lines;
      await add(batch, endedAtATime, count);
    }
  };

  const finish = async (job: BatchJob, facts: BatchFacts, count: WaitingCount): Promise<Next> => {
    const { batch } = job.data;
    await leaveLine(job);
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
      return await finish(job, facts, await takeEnded(batch));
    }
    const waitFor = async (reason: WaitReason, wait: number): Promise<Next> => {
      if (reason !== 'earlier_batch') await leaveLine(job);
      await note(job, facts, count, reason);
      return { wait };
    };
    if (facts.paused || (await store.appPauses.isPaused(facts.app))) {
      // Workers take jobs meanwhile, so one look may miss some.
      const recalled = await recall(batch);
      return await waitFor(
        facts.paused ? 'paused' : 'app_paused',
        recalled > 0 ? lookAgainMs.recalled : lookAgainMs.paused,
      );
    }
    if (facts.startAt !== null && facts.startAt > count.at) {
      return await waitFor('start', Math.min(facts.startAt - count.at, lookAgainMs.paused));
    }
    const paced = paceOf(facts, count.at);
    if (paced.lines === 0) return await waitFor('pace', paced.waitMs);
    const first = await waitingLines.enterLine(facts.app, batch, orderOf(facts));
    if (first !== batch) return await waitFor('earlier_batch', behindForMs);

    const most = clamp(windowSeconds * (await rate()), window);
    // Lines of an app on hold, or that wait for credits, fill its own window only.
    if (count.inFlight >= most) return { wait: lookAgainMs.ownWindow };
    const { bulk } = await sendOtpQueue.backlog();
    if (bulk >= most) return { wait: 'window_full' };
    const isFirst = facts.startedAt === null || !facts.startTold || facts.finishedAt !== null;
    // Its start was put off meanwhile.
    if (isFirst && !(await batches.begin(batch))) return { wait: 1 };
    const lines = Math.min(
      ...[clamp(most * turnShare, turn), most - count.inFlight, most - bulk, paced.lines, count.waiting],
    );
    let [released, heldForMs] = [0, 0];
    for (let left = lines; left > 0; left -= slice) {
      const current = left === lines ? count : await waitingLines.count(batch);
      const added = await add(batch, Math.min(left, slice), current);
      released += added.free;
      heldForMs = Math.max(heldForMs, added.heldForMs);
    }
    if (facts.perSecond !== null) {
      await batches.change(batch, { paceAt: Math.round(paced.from + (released * 1_000) / facts.perSecond) });
    }
    const left = { ...count, waiting: count.waiting - released };
    const isHeld = released === 0 && heldForMs > 0;
    if (isHeld) {
      await note(job, facts, left, 'number_range');
      await leaveLine(job);
      return { wait: Math.min(heldForMs, lookAgainMs.paused) };
    }
    await note(job, facts, left, null);
    // At the end of the queue: each app has a turn before this one has its next.
    if (facts.perSecond === null) return { wait: 1 };
    await leaveLine(job);
    return { wait: Math.max(paceEveryMs, 1_000 / facts.perSecond) };
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

/** Batches of an app go in this order. */
function orderOf({ startAt, createdAt }: BatchFacts): number {
  return Math.max(startAt ?? 0, createdAt);
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

const lookEveryMs = 5_000;
/** Batches looked at together. */
const lookedAtTogether = 200;

/**
 * Adds the lost jobs of batches that have not ended, and wakes the first batch of each app; one worker of all does so every
 * 5 s.
 */
export function createBatchWatch({
  store: { batches, waitingLines, holdLease },
  batchQueue,
}: {
  store: Pick<Store, 'batches' | 'waitingLines' | 'holdLease'>;
  batchQueue: BatchQueue;
}) {
  const ensure = async ([batch, app]: readonly [string, string]) => {
    await batchQueue.ensure({ batch, app }, async () => {
      const facts = await batches.facts(batch);
      // The API may have ended before it listed the batch, too.
      if (facts) await batches.enlist(app, batch, facts.createdAt);
      return { name: facts?.name ?? null, delayMs: 0 };
    });
  };
  return {
    everyMs: lookEveryMs,
    run: async () => {
      if (!(await holdLease('batches', lookEveryMs - 100))) return;
      const { apps, complete } = await waitingLines.batches();
      const active = (await waitingLines.active()).map(({ batch, app }) => [batch, app] as const);
      const all = [...new Map([...apps, ...active])];
      for (let i = 0; i < all.length; i += lookedAtTogether) {
        await Promise.all(all.slice(i, i + lookedAtTogether).map(ensure));
      }
      if (!complete) return;
      for (const app of new Set(apps.values())) {
        let first = await waitingLines.firstInLine(app);
        while (first !== null && !apps.has(first)) first = await waitingLines.leaveLine(app, first);
        // A worker that ended at the wrong moment woke none.
        if (first !== null) await batchQueue.wake(first);
      }
    },
  };
}
