import type { Server } from 'node:http';
import { BullMQOtel } from 'bullmq-otel';
import type { ApiDependencies } from '../api/dependencies.js';
import type { ConfigFor } from '../config/roles.js';
import type { OnHostChange } from '../isms/host-order.js';
import type { Logger } from '../lib/logger.js';
import { createEnqueuer } from '../producer/enqueue.js';
import { decoratedProvider, monotonicClock } from '../provider/decorated-provider.js';
import { createBatchQueue } from '../queues/batch.js';
import { createBalanceQueue } from '../queues/queues.js';
import { createSendOtpQueue } from '../queues/send-otp.js';
import { createWebhookQueue } from '../queues/webhook.js';
import type { RedisClient } from '../store/script.js';
import { continueTracesOf } from '../telemetry/caller-trace.js';
import type { Metrics } from '../telemetry/metrics.js';
import { webhookTimeoutMs } from '../webhooks/endpoint.js';
import { createAppRegistry, reloadOnHangup } from './apps.js';
import { ismsProvider, requestSettings, storeOf, webhookReceivers } from './composition.js';
import type { Lifecycle } from './lifecycle.js';
import { listen } from './listen.js';
import { packageVersion } from './package-version.js';
import { connectForRequests, connectForWork, createErrorLog, disconnect, warnOfRedis } from './redis.js';
import { readGatewayState, recordStats } from './shared-state.js';

type GatewayConfig = ConfigFor<'worker'>;

/** Dependencies that the process provides. */
interface Host {
  logger: Logger;
  metrics: Metrics;
  lifecycle: Lifecycle;
}

/** The longest `Prefer: wait` and 5 s more. */
const answerWithinMs = 35_000;
/** Time for a worker to record the outcome of its longest call. */
const closeGraceMs = 5_000;

/** All parts of the gateway over one Redis connection: `createApi` and `startWorkers` take them from here. */
export type Gateway = ReturnType<typeof createGateway>;

/**
 * Makes the parts of the gateway for the API and the workers, tests and the bench. `override` replaces any of them before
 * provider and enqueuer are made from them; only tests and the bench set it.
 */
export function createGateway(
  config: GatewayConfig,
  { override, ...given }: Host & { redis: RedisClient; override?: (parts: Parts) => Partial<Parts> },
) {
  const made = createParts(config, given);
  const parts: Parts = { ...made, ...override?.(made) };
  const { isms, clock, settings, logger, metrics } = parts;
  const observers = { onCall: metrics.call, onCircuit: metrics.circuit };
  return {
    ...parts,
    ...decoratedProvider(isms, { apps: settings.apps, clock, logger, ...observers }),
    enqueuer: createEnqueuer(parts),
  };
}

type Parts = ReturnType<typeof createParts>;

function createParts(config: GatewayConfig, given: Host & { redis: RedisClient }) {
  const { redis, logger, lifecycle } = given;
  const { http, worker, otp, limits, balance, tracing } = config;
  const apps = createAppRegistry(config);
  const settings = requestSettings(config, apps);
  const onError = createErrorLog(logger, lifecycle.isEnding);
  const receivers = webhookReceivers(config, apps);
  const webhookQueue = receivers && createWebhookQueue(redis, onError);
  return {
    ...given,
    apps,
    settings,
    clock: monotonicClock,
    isms: lifecycle.add(ismsProvider(config, observeHosts(given))),
    store: storeOf(redis, config, logger),
    sendOtpQueue: createSendOtpQueue({ connection: redis, onError, shards: config.queues.shards }),
    batchQueue: createBatchQueue(redis, onError),
    balanceQueue: createBalanceQueue(redis, onError),
    webhookQueue,
    webhooks: receivers && webhookQueue && { receivers: lifecycle.add(receivers), queue: webhookQueue },
    onError,
    isEnding: lifecycle.isEnding,

    apiKeys: apps.keys,
    ismsCompatApi: http.ismsCompatApi,
    trustedProxies: http.trustedProxies ?? [],
    admin: adminOf(config),
    version: packageVersion(),

    concurrency: worker.concurrency,
    servedShards: worker.shards ?? null,
    sendTimeoutMs: config.isms.sendTimeoutMs,
    sendsPerSecond: limits.sendPerSecond,
    sendsPerSecondOf: (app: string) => apps.of(app).sendsPerSecond ?? limits.appSendsPerSecond,
    retentionSeconds: otp.retentionSeconds,
    balanceEveryMs: balance.everySeconds * 1_000,
    fraudGuardEnforces: settings.fraudGuardEnforces,
    telemetry: tracing.endpoint ? new BullMQOtel({ tracerName: 'isms-otp-gateway' }) : null,
  };
}

/** Counts failed connections to each host of iSMS, and logs when they begin and end. */
function observeHosts({ logger, metrics }: Host): OnHostChange {
  return (host, { connected, isFirst }) => {
    if (!connected) metrics.hostFailed(host);
    if (isFirst && connected)
      logger.info({ event: 'isms.host_connected', host }, 'iSMS host can be reached again');
    else if (isFirst)
      logger.warn(
        { event: 'isms.host_failed', host },
        'iSMS host cannot be reached: calls try the others first',
      );
  };
}

function adminOf({ admin, adminActions }: GatewayConfig) {
  if (!admin) return null;
  const { username, password } = admin;
  return { username, password: password.reveal(), actions: adminActions === 'on' };
}

/**
 * The HTTP API; resolves with its URL. Starts without Redis as well, and answers 503 until Redis is there. `development`:
 * secrets for the start page, from `npm start` alone.
 */
export async function runApi(
  config: GatewayConfig,
  host: Host,
  development: ApiDependencies['development'] = null,
): Promise<string> {
  const { createApi } = await import('../api/api.js');
  const { createHttpServer } = await import('../api/http/http-server.js');
  const { appOfAuthorization } = await import('../api/http/authentication.js');
  const redis = connectForRequests(config.redisUrl.reveal());
  const gateway = runGateway(config, redis, host);
  const { apiKeys, logger, lifecycle } = gateway;
  redis.once('ready', () => void warnOfRedis(redis, config.queues.shards, logger).catch(() => {}));
  shareState(gateway);
  continueTracesOf((authorization) => appOfAuthorization(apiKeys(), authorization) !== null);
  const server = createHttpServer(createApi({ ...gateway, development }));
  const url = await listen(server, config.http, { server: 'the API', advice: 'Set PORT to a free one.' });
  lifecycle.add({ close: () => closeServer(server) });
  logger.info({ event: 'api.started', url }, 'API started');
  return url;
}

/** One worker process: sends, balance snapshots, webhooks, the sweeper. Waits for Redis if it is not there yet. */
export async function runWorker(config: GatewayConfig, host: Host): Promise<void> {
  const { startWorkers } = await import('../workers/workers.js');
  const redis = connectForWork(config.redisUrl.reveal());
  const gateway = runGateway(config, redis, host);
  const { sendTimeoutMs, concurrency, webhooks, logger, lifecycle } = gateway;
  if (redis.status !== 'ready') await new Promise<void>((resolve) => redis.once('ready', resolve));
  warnOfRedis(redis, config.queues.shards, logger).catch(() => {});
  lifecycle.add(gateway.sendOtpQueue);
  shareState(gateway);
  const workers = await startWorkers(gateway);
  const longestMs = Math.max(sendTimeoutMs, webhooks ? webhookTimeoutMs : 0);
  lifecycle.add({ close: () => workers.close(longestMs + closeGraceMs) });
  logger.info({ event: 'worker.started', concurrency }, 'worker started');
}

/** The parts of one process, on a connection that ends with it. */
function runGateway(config: GatewayConfig, redis: RedisClient, host: Host): Gateway {
  const { logger, lifecycle } = host;
  lifecycle.add({ close: () => disconnect(redis) });
  const gateway = createGateway(config, { ...host, redis });
  reloadOnHangup(gateway.apps, config, host);
  redis.on('error', (error) => gateway.onError(error, { event: 'redis.error' }));
  // A connection that was not closed here does not come back: only a new process gets one (ADR 34).
  redis.once('end', () => {
    if (lifecycle.isEnding()) return;
    logger.error(
      { event: 'redis.connection_ended' },
      'the connection to Redis ended for good: this process exits and must be started again',
    );
    lifecycle.fail();
  });
  return gateway;
}

/** Writes this process's counts to Redis, and reads what all processes share for its metrics. */
function shareState({ store, sendOtpQueue, webhookQueue, apps, metrics, lifecycle }: Gateway): void {
  lifecycle.add(recordStats({ store, sendOtpQueue, metrics }));
  metrics.observe(() => readGatewayState({ store, sendOtpQueue, webhookQueue, apps }));
}

/** Answers the requests under way, for at most 35 s; idle connections end at once. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  // Connections in use end with their answer.
  server.keepAliveTimeout = 1;
  server.prependListener('request', (_req, res) => {
    res.shouldKeepAlive = false;
  });
  const cutOff = setTimeout(() => server.closeAllConnections(), answerWithinMs);
  await closed;
  clearTimeout(cutOff);
}
