import { DelayedError, RateLimitError, Worker, type WorkerOptions } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { every } from '../lib/periodic.js';
import { withTimeout } from '../lib/with-timeout.js';
import type { Provider } from '../otp/provider.js';
import type { WebhookReceivers } from '../otp/webhook.js';
import type { CircuitBreaker } from '../provider/circuit-breaker.js';
import { type BalanceResult, type balanceJob, createBalanceQueue } from '../queues/balance.js';
import { queueNames, queuePrefix } from '../queues/queues.js';
import type { SendOtpPayload, SendOtpQueue, SendOtpResult, sendOtpJob } from '../queues/send-otp.js';
import { shardName } from '../queues/shards.js';
import type { WebhookPayload, WebhookQueue, webhookJob } from '../queues/webhook.js';
import type { RedisClient } from '../store/script.js';
import type { Store } from '../store/store.js';
import { createAdaptiveConcurrency } from './adaptive-concurrency.js';
import { createAppGate } from './app-holds.js';
import { createBalanceProcessor } from './balance.js';
import { type CallRate, createCallLimit } from './call-limit.js';
import { createConversionWatch } from './conversion-watch.js';
import { createCredits } from './credits.js';
import { CallsUsedUp, retryDelayMs, withoutStack, withoutStacks } from './job-control.js';
import { createJobGate } from './job-gate.js';
import type { WorkerMetrics } from './metrics.js';
import { createPauseGate, type GateState } from './pause-gate.js';
import { createProgress } from './progress.js';
import { createRelay } from './relay.js';
import { createSendOtpProcessor } from './send-otp.js';
import { createShardWorkers } from './shard-workers.js';
import { createSweeper } from './sweeper.js';
import { createWebhookProcessor, NotDelivered, webhookDelayMs } from './webhook.js';

export interface WorkersOptions {
  /** Its commands must wait for Redis to come back (`maxRetriesPerRequest: null`), or a send could run twice. */
  redis: RedisClient;
  store: Store;
  provider: Provider;
  /** The one that guards the provider's sends: while it is open, no jobs are taken. */
  sendCircuit: Pick<CircuitBreaker, 'state' | 'onChange'>;
  logger: Logger;
  metrics: WorkerMetrics;
  /** Traces jobs where the process is traced. */
  telemetry?: WorkerOptions['telemetry'] | null;
  /** The most sends in flight; fewer while sends time out. */
  concurrency: number;
  sendTimeoutMs: number;
  /** Stays open when the workers close. */
  sendOtpQueue: SendOtpQueue;
  /** Those that this process serves; null: all. */
  servedShards: readonly number[] | null;
  /** Who is told of events; null where nobody is. Stays open when the workers close. */
  webhooks: { receivers: WebhookReceivers; queue: WebhookQueue } | null;
  fraudGuardEnforces: boolean;
  /** Calls to the provider a second, all workers together; 0 for no limit. */
  sendsPerSecond: number;
  retentionSeconds: number;
  balanceEveryMs: number;
}

export interface Workers {
  /** Takes no more jobs and resolves when those in hand are settled, or rejects after `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
}

/**
 * Measured: a lock of 15 s, looked for every 5 s, hands a dead worker's jobs on within 20 s; with the default of one
 * tolerated stall, jobs of killed workers failed or ran twice. Here the claim decides, so stalls are unlimited.
 */
const workerOptions = {
  lockDuration: 15_000,
  stalledInterval: 5_000,
  maxStalledCount: 1_000_000,
  runRetryDelay: 1_000,
  settings: { backoffStrategy: retryDelayMs },
} satisfies Partial<WorkerOptions>;

/** BullMQ obeys `rateLimit` only in workers that have a limit; the jobs that it hands out are not limited. */
const onlyByHand = { max: 1_000_000_000, duration: 1_000 };

const balanceJobsKept = 100;
/** Deliveries at a time in one process. */
const webhooksAtATime = 32;
const lookAtIntakeEveryMs = 1_000;
const lookAtHistoriesEveryMs = 5_000;
/** Processes that know of more shards may have been started. */
const lookAtShardsEveryMs = 5_000;

/** All that one worker process does: sends, balance snapshots, the sweeper, the pause gate. Runs at once. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { redis, store, provider, sendOtpQueue, logger, metrics, retentionSeconds } = options;
  const onError = (err: Error) => logger.error({ event: 'queue.error', err }, 'queue error');
  const balanceQueue = createBalanceQueue(redis, onError);
  const now = () => performance.now();
  const concurrency = createAdaptiveConcurrency(
    options.concurrency,
    now,
    options.servedShards?.length ?? sendOtpQueue.queues.length,
  );
  const jobGate = createJobGate({ taker: () => sends, circuit: options.sendCircuit, concurrency });
  const credits = createCredits(provider, now);
  const onChange = (state: GateState) => {
    jobGate.setSerial(state === 'trial');
    jobGate.set('account_trouble', state === 'closed');
  };
  const pauseGate = createPauseGate({
    ...{ store, provider: credits, now, onChange, logger },
    onResumed: jobGate.restart,
  });
  const appGate = createAppGate({ appHolds: store.appHolds, logger, now });
  /** Of each shard; read before each call, so all of them see when it changes. */
  const rate = rateOf(options.sendsPerSecond, sendOtpQueue.queues.length);
  const { sendAttempts } = store;
  const processor = createSendOtpProcessor({
    ...options,
    sendAttempts,
    jobGate,
    pauseGate,
    appGate,
    credits,
    callLimit: options.sendsPerSecond > 0 ? createCallLimit(redis, rate) : null,
  });
  const progress = createProgress(store.load);
  const sends = createShardWorkers((shard, concurrency) => {
    const { name, prefix } = shardName(shard);
    const worker = new Worker<SendOtpPayload, SendOtpResult, typeof sendOtpJob>(
      name,
      (job, token) =>
        withoutStacks(logger, () => processor(job, token)).catch(async (error: unknown) => {
          // It left the line: those behind it wait no longer for it.
          if (error instanceof DelayedError) progress.count();
          if (!(error instanceof CallsUsedUp)) throw error;
          await worker.rateLimit(error.waitMs);
          throw new RateLimitError();
        }),
      {
        ...workerOptions,
        prefix,
        concurrency,
        connection: redis,
        ...(options.telemetry && { telemetry: options.telemetry }),
        ...(options.sendsPerSecond > 0 && { limiter: onlyByHand }),
      },
    );
    worker.on('error', onError).on('completed', progress.count);
    // A job that failed with tries left is not done.
    worker.on('failed', (job) => job?.finishedOn !== undefined && progress.count());
    return worker;
  }, concurrency.limit);
  const serveShards = async () => {
    const known = await sendOtpQueue.known();
    const emptied = await sendOtpQueue.emptied(known);
    Object.assign(rate, rateOf(options.sendsPerSecond, known.length - emptied.length));
    sends.serve(options.servedShards ?? known, emptied);
  };
  const recordBalance = createBalanceProcessor({ provider, logger, balance: store.balance });
  const balances = new Worker<Record<string, never>, BalanceResult, typeof balanceJob>(
    queueNames.balance,
    () => withoutStacks(logger, recordBalance),
    {
      ...workerOptions,
      prefix: queuePrefix,
      connection: redis,
      removeOnComplete: { count: balanceJobsKept },
      removeOnFail: { count: balanceJobsKept },
    },
  );
  balances.on('error', onError);
  const conversionWatch = createConversionWatch({ store, logger });
  const sweeper = createSweeper({ store, sendOtpQueue, keepMs: retentionSeconds * 1_000, logger, metrics });
  const webhookWorkers = options.webhooks ? startTellers(options, options.webhooks, onError) : null;
  await serveShards();
  const loops = [
    ...(webhookWorkers ? [every(webhookWorkers.relay.everyMs, webhookWorkers.relay.run, logger)] : []),
    every(pauseGate.lookEveryMs, pauseGate.look, logger),
    every(appGate.lookEveryMs, appGate.look, logger),
    every(lookAtIntakeEveryMs, async () => jobGate.look(), logger),
    every(sweeper.everyMs, sweeper.run, logger),
    every(conversionWatch.everyMs, conversionWatch.run, logger),
    every(progress.everyMs, progress.run, logger),
    every(lookAtShardsEveryMs, serveShards, logger),
    every(lookAtHistoriesEveryMs, store.lookAtHistories, logger),
  ];
  // Again each period, for a Redis that was emptied. Waits while its master is away, which must not hold up the end.
  const schedule = every(options.balanceEveryMs, () => balanceQueue.schedule(options.balanceEveryMs), logger);

  return {
    close: async (deadlineMs) => {
      const close = async () => {
        jobGate.stop();
        await Promise.all([sends.close(), balances.close(), webhookWorkers?.worker.close()]);
        await Promise.all(loops.map((loop) => loop.stop()));
        void schedule.stop();
        await balanceQueue.queue.close();
      };
      await withTimeout(close(), deadlineMs);
    },
  };
}

/** What passes events on to the webhook. */
function startTellers(
  options: WorkersOptions,
  { receivers, queue }: NonNullable<WorkersOptions['webhooks']>,
  onError: (error: Error) => void,
) {
  const { redis, store, logger, metrics, fraudGuardEnforces } = options;
  const deliver = createWebhookProcessor({
    otps: store.otps,
    receivers,
    fraudGuardEnforces,
    logger,
    metrics,
  });
  const worker = new Worker<WebhookPayload, null, typeof webhookJob>(
    queueNames.webhook,
    async (job) => {
      try {
        return await deliver(job);
      } catch (error) {
        // What is no failed attempt is a bug of ours, and logged as one.
        if (error instanceof NotDelivered) throw withoutStack(error);
        return await withoutStacks(logger, () => Promise.reject(error));
      }
    },
    {
      ...workerOptions,
      settings: { backoffStrategy: webhookDelayMs },
      prefix: queuePrefix,
      connection: redis,
      concurrency: webhooksAtATime,
    },
  );
  worker.on('error', onError);
  return { worker, relay: createRelay({ store, webhookQueue: queue, receivers, logger }) };
}

/** Calls are counted by queue, so each shard gets its share of them. */
function rateOf(sendsPerSecond: number, shards: number): CallRate {
  const max = Math.max(1, Math.floor(sendsPerSecond / shards));
  return { max, duration: Math.ceil((max * shards * 1_000) / Math.max(1, sendsPerSecond)) };
}
