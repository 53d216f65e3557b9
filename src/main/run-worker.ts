import { BullMQOtel } from 'bullmq-otel';
import type { ConfigFor } from '../config/commands.js';
import { decoratedProvider } from '../provider/decorated-provider.js';
import { createSendOtpQueue } from '../queues/send-otp.js';
import { createWebhookQueue } from '../queues/webhook.js';
import { webhookTimeoutMs } from '../webhooks/endpoint.js';
import { startWorkers } from '../workers/workers.js';
import { createAppRegistry, reloadOnHangup } from './apps.js';
import { disconnect, failWithout, ismsProvider, storeOf } from './composition.js';
import { readGatewayState } from './gateway-state.js';
import { connectForWork, warnOfRedis } from './redis.js';
import type { Parts } from './running.js';
import { recordStats } from './stats-recorder.js';
import type { Telemetry } from './telemetry.js';
import { webhookReceivers } from './webhook-receivers.js';

/** What a worker may need beyond its longest call to write down how that ended. */
const closeGraceMs = 5_000;

/** One worker process: sends, balance snapshots, the sweeper. Waits for Redis if it is not there yet. */
export async function runWorker(
  config: ConfigFor<'worker'>,
  { logger, metrics }: Telemetry,
  parts: Parts,
): Promise<void> {
  const apps = createAppRegistry(config);
  reloadOnHangup(apps, config, { parts, logger });
  const redis = connectForWork(config.redisUrl.reveal());
  redis.on('error', (err) =>
    logger.error({ event: 'redis.error', err }, 'Redis is not reachable; waiting for it'),
  );
  failWithout(redis, parts, logger);
  parts.add({ close: () => disconnect(redis) });
  const isms = parts.add(ismsProvider(config));
  const { provider, sendCircuit } = decoratedProvider(isms, {
    ...{ apps, logger, onCall: metrics.call, onCircuit: metrics.circuit },
  });
  const store = storeOf(redis, config, logger);
  if (redis.status !== 'ready') await new Promise<void>((resolve) => redis.once('ready', resolve));
  warnOfRedis(redis, config.queues.shards, logger).catch(() => {});
  const { otp, balance } = config;
  const onQueueError = (err: Error) => logger.error({ event: 'queue.error', err }, 'queue error');
  const sendOtpQueue = createSendOtpQueue({
    connection: redis,
    onError: onQueueError,
    shards: config.queues.shards,
  });
  parts.add(sendOtpQueue);
  const receivers = webhookReceivers(config, apps);
  if (receivers) parts.add(receivers);
  const webhookQueue = receivers && createWebhookQueue(redis, onQueueError);
  parts.add(recordStats({ store, queue: sendOtpQueue, tally: metrics.tally }));
  metrics.observe(() => readGatewayState(store, { queue: sendOtpQueue, webhooks: webhookQueue }));
  const workers = await startWorkers({
    redis,
    store,
    provider,
    sendCircuit,
    sendOtpQueue,
    webhooks: receivers && webhookQueue && { receivers, queue: webhookQueue },
    fraudGuardEnforces: config.fraud.guard === 'enforce',
    logger,
    metrics,
    telemetry: config.tracing.endpoint ? new BullMQOtel({ tracerName: 'isms-otp-gateway' }) : null,
    concurrency: config.worker.concurrency,
    servedShards: config.worker.shards ?? null,
    sendTimeoutMs: config.isms.sendTimeoutMs,
    sendsPerSecond: config.limits.sendPerSecond,
    retentionSeconds: otp.retentionSeconds,
    balanceEveryMs: balance.everySeconds * 1_000,
  });
  const longestMs = Math.max(config.isms.sendTimeoutMs, receivers ? webhookTimeoutMs : 0);
  parts.add({ close: () => workers.close(longestMs + closeGraceMs) });
  logger.info({ event: 'worker.started', concurrency: config.worker.concurrency }, 'worker started');
}
