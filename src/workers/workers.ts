import { DelayedError, RateLimitError, Worker, type WorkerOptions } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { every } from '../lib/periodic.js';
import { withTimeout } from '../lib/with-timeout.js';
import type { WebhookReceivers } from '../otp/event.js';
import type { Provider } from '../otp/provider.js';
import type { CircuitBreaker } from '../provider/circuit-breaker.js';
import type { BatchQueue } from '../queues/batch.js';
import {
  type BalanceQueue,
  type BalanceResult,
  type balanceJob,
  queueNames,
  queuePrefix,
} from '../queues/queues.js';
import type { SendOtpPayload, SendOtpQueue, SendOtpResult, sendOtpJob } from '../queues/send-otp.js';
import { shardName } from '../queues/shards.js';
import type { WebhookQueue } from '../queues/webhook.js';
import type { RedisClient } from '../store/script.js';
import type { Store } from '../store/store.js';
import { createAppGate } from './app-gate.js';
import { createBalanceProcessor, createCredits } from './balance.js';
import { createBatchWatch } from './batch-watch.js';
import { startBatchWorker } from './batches.js';
import { type CallRate, createAppCallLimit, createCallLimit } from './call-limit.js';
import { CallLimitReached, retryDelayMs, type WorkerMetrics, withoutStacks } from './job-control.js';
import { createAdaptiveConcurrency, createJobGate } from './job-gate.js';
import { createPauseGate, type GateState } from './pause-gate.js';
import { createSendOtpProcessor } from './send-otp.js';
import { createShardWorkers, EagerWorker } from './shard-workers.js';
import { createConversionWatch, createSweeper } from './sweeper.js';
import { createRelay, startWebhookWorker } from './webhooks.js';

export interface WorkersOptions {
  /** Its commands must wait for Redis to come back (`maxRetriesPerRequest: null`), or a send could run twice. */
  redis: RedisClient;
  store: Store;
  provider: Provider;
  /** The circuit of the provider's sends: while it is open, no jobs are taken. */
  sendCircuit: Pick<CircuitBreaker, 'state' | 'onChange'>;
  sendOtpQueue: SendOtpQueue;
  batchQueue: BatchQueue;
  balanceQueue: BalanceQueue;
  /** Null if there can be no receiver of events. */
  webhooks: { receivers: WebhookReceivers; queue: WebhookQueue } | null;
  logger: Logger;
  metrics: WorkerMetrics;
  /** Called with errors of queues, and of background work, which is tried again. */
  onError(error: unknown, about?: { event: string }): void;
  /** Traces jobs if the process is traced. */
  telemetry: WorkerOptions['telemetry'] | null;
  /** The most sends in flight; fewer while sends time out. */
  concurrency: number;
  /** The shards that this process serves; null: all. */
  servedShards: readonly number[] | null;
  sendTimeoutMs: number;
  /** Calls to the provider a second, all workers together; 0 for no limit. */
  sendsPerSecond: number;
  /** The same for an app. */
  sendsPerSecondOf: (app: string) => number;
  fraudGuardEnforces: boolean;
  retentionSeconds: number;
  balanceEveryMs: number;
}

export interface Workers {
  /** Takes no more jobs and resolves when those in hand are settled, or rejects after `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
}

/**
 * Measured: a lock of 15 s, checked every 5 s, hands on a dead worker's jobs within 20 s; with BullMQ's default of one
 * tolerated stall, jobs of killed workers failed or ran twice. The claim prevents double sends, so stalls are unlimited.
 */
const jobOptions = {
  lockDuration: 15_000,
  stalledInterval: 5_000,
  maxStalledCount: 1_000_000,
  runRetryDelay: 1_000,
  settings: { backoffStrategy: retryDelayMs },
} satisfies Partial<WorkerOptions>;

/** A turn of a batch takes less than a second: another worker goes on soon where one was killed. */
const batchLocks = { lockDuration: 5_000, stalledInterval: 2_000 };

/** BullMQ obeys `rateLimit` only in workers with a limiter; this one never limits. */
const onlyByHand = { max: 1_000_000_000, duration: 1_000 };

const balanceJobsKept = 100;
const jobGateEveryMs = 1_000;
const doneJobsEveryMs = 1_000;
const historiesEveryMs = 5_000;
/** Processes that know of more shards may have been started. */
const shardsEveryMs = 5_000;

/** Work that is repeated. */
interface Task {
  everyMs: number;
  run(): Promise<void>;
}

/** Starts everything that one worker process does: sends, balance snapshots, webhooks, gates and sweeper. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { store, balanceQueue, balanceEveryMs } = options;
  const sends = await startSends(options);
  const balances = startBalances(options);
  const batches = startBatchWorker(options, { ...jobOptions, ...batchLocks });
  const webhooks = startWebhooks(options);
  const repeat = ({ everyMs, run }: Task) =>
    every(everyMs, run, (error) => options.onError(error, { event: 'worker.background_failed' }));
  const loops = [
    ...sends.tasks,
    ...webhooks.tasks,
    createSweeper(options),
    createBatchWatch(options),
    createConversionWatch(options),
    ...(options.redis.isCluster ? [createBudgetCollector(options)] : []),
    { everyMs: historiesEveryMs, run: store.lookAtHistories },
  ].map(repeat);
  // Repeated for a Redis that was emptied. It waits while its master is away, which must not delay the end.
  const schedule = repeat({ everyMs: balanceEveryMs, run: () => balanceQueue.schedule(balanceEveryMs) });
  const close = async () => {
    await Promise.all([sends.close(), batches.close(), balances.close(), webhooks.close()]);
    await Promise.all(loops.map((loop) => loop.stop()));
    void schedule.stop();
  };
  return { close: (deadlineMs) => withTimeout(close(), deadlineMs) };
}

/** Gives credits back that are in other slots than the OTPs that reserved them, once a second by one worker of all. */
function createBudgetCollector({ store }: Pick<WorkersOptions, 'store'>): Task {
  const everyMs = 1_000;
  const run = async () => {
    if (await store.acquireLease('budgets', everyMs - 100)) await store.budgets.collect();
  };
  return { everyMs, run };
}

/** The workers of the send queue's shards, with the gates that decide whether they take jobs. */
async function startSends(options: WorkersOptions) {
  const { redis, store, provider, sendOtpQueue, servedShards, sendCircuit, logger, onError } = options;
  const now = () => performance.now();
  const queues = servedShards?.length ?? sendOtpQueue.queues.length;
  const concurrency = createAdaptiveConcurrency(options.concurrency, now, queues);
  // `sends` is set below: gate and workers need each other.
  const jobGate = createJobGate({ taker: () => sends, circuit: sendCircuit, concurrency });
  const credits = createCredits(provider, now);
  const pauseGate = createPauseGate({
    ...{ store, provider: credits, now, logger },
    onChange: (state: GateState) => {
      jobGate.setSerial(state === 'trial');
      jobGate.set('account_trouble', state === 'closed');
    },
    onResumed: jobGate.restart,
  });
  const { sendAttempts, numberLists, appHolds, appPauses } = store;
  const delayedJobs = async () => (await sendOtpQueue.backlog()).delayed;
  const appGate = createAppGate({ appHolds, appPauses, delayedJobs, logger, now });
  /** Of each shard; read before each call, so a change applies at once. */
  const rate = rateOf(options.sendsPerSecond, sendOtpQueue.queues.length);
  const processor = createSendOtpProcessor({
    ...options,
    ...{ sendAttempts, numberLists, jobGate, pauseGate, appGate, credits },
    callLimit: options.sendsPerSecond > 0 ? createCallLimit(redis, rate) : null,
    appCallLimit: createAppCallLimit(redis, options.sendsPerSecondOf),
  });
  const doneJobs = createDoneCounter(store);
  const sends = createShardWorkers((shard) => {
    const { name, prefix } = shardName(shard);
    const worker = new EagerWorker<SendOtpPayload, SendOtpResult, typeof sendOtpJob>(
      name,
      (job, token) =>
        withoutStacks(logger, () => processor(job, token)).catch(async (error: unknown) => {
          // A delayed job leaves the queue, so those behind it wait no longer for it.
          if (error instanceof DelayedError) doneJobs.count();
          if (!(error instanceof CallLimitReached)) throw error;
          await worker.rateLimit(error.waitMs);
          throw new RateLimitError();
        }),
      {
        ...{ ...jobOptions, prefix, connection: redis },
        ...(options.telemetry && { telemetry: options.telemetry }),
        ...(options.sendsPerSecond > 0 && { limiter: onlyByHand }),
      },
    );
    worker.on('error', (error) => onError(error)).on('completed', doneJobs.count);
    // A job that failed with attempts left is not done.
    worker.on('failed', (job) => job?.finishedOn !== undefined && doneJobs.count());
    return worker;
  }, concurrency.limit);
  const serveShards = async () => {
    const known = await sendOtpQueue.known();
    const emptied = await sendOtpQueue.emptied(known);
    Object.assign(rate, rateOf(options.sendsPerSecond, known.length - emptied.length));
    sends.serve(servedShards ?? known, emptied);
  };
  await serveShards();
  return {
    tasks: [
      { everyMs: pauseGate.checkEveryMs, run: pauseGate.check },
      { everyMs: appGate.syncEveryMs, run: appGate.sync },
      { everyMs: jobGateEveryMs, run: async () => jobGate.check() },
      { everyMs: shardsEveryMs, run: serveShards },
      { everyMs: doneJobsEveryMs, run: doneJobs.write },
    ] satisfies Task[],
    close: async () => {
      jobGate.stop();
      await sends.close();
    },
  };
}

/** Calls are counted by queue, so each shard gets its share of them. */
function rateOf(sendsPerSecond: number, shards: number): CallRate {
  const max = Math.max(1, Math.floor(sendsPerSecond / shards));
  return { max, duration: Math.ceil((max * shards * 1_000) / Math.max(1, sendsPerSecond)) };
}

/** Counts jobs that leave the queue, and writes the count for backpressure, which admits by the recent send rate. */
function createDoneCounter({ load }: Pick<Store, 'load'>) {
  let done = 0;
  return {
    count: () => {
      done += 1;
    },
    write: async () => {
      const count = done;
      if (count === 0) return;
      await load.addDone(count);
      done -= count;
    },
  };
}

function startBalances({ redis, store, provider, logger, onError }: WorkersOptions) {
  const recordBalance = createBalanceProcessor({ provider, logger, balance: store.balance });
  const kept = { count: balanceJobsKept };
  return new Worker<Record<string, never>, BalanceResult, typeof balanceJob>(
    queueNames.balance,
    () => withoutStacks(logger, recordBalance),
    { ...jobOptions, prefix: queuePrefix, connection: redis, removeOnComplete: kept, removeOnFail: kept },
  ).on('error', (error) => onError(error));
}

function startWebhooks(options: WorkersOptions): { tasks: Task[]; close(): Promise<void> } {
  const { webhooks, redis, store, onError } = options;
  if (!webhooks) return { tasks: [], close: async () => {} };
  const { receivers, queue } = webhooks;
  const workerOptions = { ...jobOptions, prefix: queuePrefix, connection: redis };
  const worker = startWebhookWorker({ ...options, otps: store.otps, receivers }, workerOptions);
  worker.on('error', (error) => onError(error));
  return {
    tasks: [createRelay({ ...options, webhookQueue: queue, receivers })],
    close: () => worker.close(),
  };
}
