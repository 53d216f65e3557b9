import type { Server } from 'node:http';
import type { Admin } from '../api/admin/admin.js';
import { createApi } from '../api/api.js';
import { appOfAuthorization } from '../api/http/authentication.js';
import { createHttpServer } from '../api/http/http-server.js';
import type { ConfigFor } from '../config/commands.js';
import { createEnqueuer } from '../producer/enqueue.js';
import { decoratedProvider } from '../provider/decorated-provider.js';
import { createBalanceQueue } from '../queues/balance.js';
import { createSendOtpQueue } from '../queues/send-otp.js';
import { createWebhookQueue } from '../queues/webhook.js';
import { continueTracesOf } from '../telemetry/caller-trace.js';
import { createAppRegistry, reloadOnHangup } from './apps.js';
import { disconnect, failWithout, ismsProvider, requestSettings, storeOf } from './composition.js';
import { readGatewayState } from './gateway-state.js';
import { listen } from './listen.js';
import { packageVersion } from './package-version.js';
import { connectForRequests, warnOfRedis } from './redis.js';
import type { Parts } from './running.js';
import { recordStats } from './stats-recorder.js';
import type { Telemetry } from './telemetry.js';

/** The longest `Prefer: wait` and 5 s more. */
const answerWithinMs = 35_000;

/** The HTTP API; resolves with its URL. Starts without Redis too, and answers 503 until it is there. */
export async function runApi(
  config: ConfigFor<'api'>,
  { logger, metrics }: Telemetry,
  parts: Parts,
): Promise<string> {
  const apps = createAppRegistry(config);
  reloadOnHangup(apps, config, { parts, logger });
  const redis = connectForRequests(config.redisUrl.reveal());
  redis.on('error', (err) => logger.error({ event: 'redis.error', err }, 'Redis is not reachable'));
  redis.once('ready', () => void warnOfRedis(redis, config.queues.shards, logger).catch(() => {}));
  const onQueueError = (err: Error) => logger.error({ event: 'queue.error', err }, 'queue error');
  failWithout(redis, parts, logger);
  parts.add({ close: () => disconnect(redis) });
  const isms = parts.add(ismsProvider(config));
  const { provider } = decoratedProvider(isms, {
    ...{ apps, logger, onCall: metrics.call, onCircuit: metrics.circuit },
  });
  const store = storeOf(redis, config, logger);
  const sendOtpQueue = createSendOtpQueue({
    connection: redis,
    onError: onQueueError,
    shards: config.queues.shards,
  });
  const webhookQueue =
    config.webhook || config.appsFile !== undefined ? createWebhookQueue(redis, onQueueError) : null;
  parts.add(recordStats({ store, queue: sendOtpQueue, tally: metrics.tally }));
  metrics.observe(() => readGatewayState(store, { queue: sendOtpQueue, webhooks: webhookQueue }));
  continueTracesOf((authorization) => appOfAuthorization(apps.keys(), authorization) !== null);
  const settings = requestSettings(config, apps);
  const app = createApi({
    store,
    sendOtpQueue,
    enqueuer: createEnqueuer({ store, sendOtpQueue, settings, logger }),
    balanceQueue: createBalanceQueue(redis, onQueueError),
    webhookQueue,
    provider,
    apiKeys: apps.keys,
    ismsCompatApi: config.http.ismsCompatApi,
    admin: adminOf(config),
    trustedProxies: config.http.trustedProxies ?? [],
    settings,
    isEnding: parts.isEnding,
    version: packageVersion(),
    logger,
    metrics,
  });
  const server = createHttpServer(app);
  const url = await listen(server, config.http);
  parts.add({ close: () => closeServer(server) });
  logger.info({ event: 'api.started', url }, 'API started');
  return url;
}

function adminOf({ admin, adminActions }: ConfigFor<'api'>): Admin | null {
  if (!admin) return null;
  const { username, password } = admin;
  return { username, password: password.reveal(), actions: adminActions === 'on' };
}

/** Requests under way are answered; idle connections end at once, and what is left after 35 s is cut off. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  const cutOff = setTimeout(() => server.closeAllConnections(), answerWithinMs);
  await closed;
  clearTimeout(cutOff);
}
