import type { Logger } from 'pino';
import type { ConfigFor } from '../config/commands.js';
import { startWorkers } from '../workers/workers.js';
import { guardProvider } from './guard-provider.js';
import { disconnect, ismsProvider, storeOf } from './parts.js';
import { connectForWork, warnOfRedis } from './redis.js';
import type { Parts } from './running.js';

/** What a worker may need beyond its longest send to write down how that ended. */
const closeGraceMs = 5_000;

/** One worker process: sends, balance snapshots, the sweeper. Waits for Redis if it is not there yet. */
export async function runWorker(config: ConfigFor<'worker'>, logger: Logger, parts: Parts): Promise<void> {
  const redis = connectForWork(config.redisUrl.reveal());
  redis.on('error', (err) =>
    logger.error({ event: 'redis.error', err }, 'Redis is not reachable; waiting for it'),
  );
  parts.add({ close: () => disconnect(redis) });
  const { provider, sendCircuit } = guardProvider(parts.add(ismsProvider(config)), logger);
  const store = storeOf(redis, config, logger);
  if (redis.status !== 'ready') await new Promise<void>((resolve) => redis.once('ready', resolve));
  warnOfRedis(redis, config.queues.shards, logger).catch(() => {});
  const { otp, balance } = config;
  const workers = await startWorkers({
    redis,
    store,
    provider,
    sendCircuit,
    logger,
    concurrency: config.worker.concurrency,
    shards: config.queues.shards,
    servedShards: config.worker.shards ?? null,
    sendTimeoutMs: config.isms.sendTimeoutMs,
    sendsPerSecond: config.limits.sendPerSecond,
    keepSeconds: otp.keepSeconds,
    balanceEveryMs: balance.everySeconds * 1_000,
  });
  parts.add({ close: () => workers.close(config.isms.sendTimeoutMs + closeGraceMs) });
  logger.info({ event: 'worker.started', concurrency: config.worker.concurrency }, 'worker started');
}
