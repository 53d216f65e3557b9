import { once } from 'node:events';
import type { Cluster, Redis } from 'ioredis';
import { ConfigError } from '../config/load-config.js';
import type { Logger } from '../lib/logger.js';
import { createEnqueuer } from '../producer/enqueue.js';
import { createProducer, type OtpProducer } from '../producer/otp-producer.js';
import { createBatchQueue } from '../queues/batch.js';
import { createSendOtpQueue } from '../queues/send-otp.js';
import { createAppRegistry } from './apps.js';
import { requestSettings, storeOf } from './composition.js';
import { load } from './load.js';
import { connectForRequests, createErrorLog, disconnect } from './redis.js';

export interface OtpProducerOptions {
  /** The app that OTPs are sent for: limits, look-ups and verifications are by app. */
  app: string;
  /**
   * The gateway's settings by their environment names, often `process.env`. `ENCRYPTION_KEYS` is required, and `REDIS_URL`
   * without `redis`; limits and defaults must be those of the API and the workers.
   */
  env: Record<string, string | undefined>;
  /**
   * A connection of the app's own, on ioredis 6; it is not closed. It should fail fast (`maxRetriesPerRequest` of 0 or
   * 1, `enableOfflineQueue: false`, a `commandTimeout`): `send` waits for it up to 2 s.
   */
  redis?: Redis | Cluster;
  /** Receives what an operator should know, such as connection errors; nothing is logged by default. pino fits. */
  logger?: Logger;
}

const connectWithinMs = 2_000;

const silent: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/** Makes a producer. Throws one error with all errors in the settings; connects in the background. */
export function createOtpProducer({ app, env, redis, logger = silent }: OtpProducerOptions): OtpProducer {
  const config = load(env, 'producer');
  let isClosed = false;
  const onError = createErrorLog(logger, () => isClosed);
  const connection =
    redis ??
    connect(config.redisUrl?.reveal()).on('error', (error) => {
      onError(error, { event: 'redis.error' });
    });
  const store = storeOf(connection, config, logger);
  const sendOtpQueue = createSendOtpQueue({ connection, onError, shards: config.queues.shards });
  const batchQueue = createBatchQueue(connection, onError);
  const settings = requestSettings(config, createAppRegistry(config));
  return createProducer({
    app,
    store,
    settings,
    connected: connected(connection),
    enqueuer: createEnqueuer({ store, sendOtpQueue, batchQueue, settings, logger }),
    close: async () => {
      isClosed = true;
      await Promise.all([sendOtpQueue.close(), batchQueue.queue.close()]);
      if (!redis) await disconnect(connection);
    },
  });
}

/** Commands before the connection is there would fail at once; without one in time, they report why. */
async function connected(redis: Redis | Cluster): Promise<void> {
  if (redis.status === 'ready') return;
  const signal = AbortSignal.timeout(connectWithinMs);
  await once(redis, 'ready', { signal }).catch(() => {});
}

function connect(url: string | undefined): Redis | Cluster {
  if (url !== undefined) return connectForRequests(url);
  throw new ConfigError([{ variable: 'REDIS_URL', problem: 'is missing, and there is no connection' }]);
}
