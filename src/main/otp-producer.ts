import { once } from 'node:events';
import type { Cluster, Redis } from 'ioredis';
import { ConfigError } from '../config/config-error.js';
import type { Logger } from '../lib/logger.js';
import { createEnqueuer } from '../producer/enqueue.js';
import { createProducer, type OtpProducer } from '../producer/otp-producer.js';
import { createSendOtpQueue } from '../queues/send-otp.js';
import { serializeError } from '../telemetry/serialize-error.js';
import { createAppRegistry } from './apps.js';
import { disconnect, requestSettings, storeOf } from './composition.js';
import { load } from './load.js';
import { connectForRequests } from './redis.js';

export interface OtpProducerOptions {
  /** In whose name OTPs are sent: limits, look-ups and verifications are by app. */
  app: string;
  /**
   * The gateway's own settings by their names in the environment, often `process.env`. `ENCRYPTION_KEYS` is needed, and
   * `REDIS_URL` unless there is a connection; limits and defaults must be those of the API and the workers.
   */
  env: Record<string, string | undefined>;
  /**
   * A connection of the app's own, on ioredis 6; it is not closed. It should fail fast (`maxRetriesPerRequest` of 0 or
   * 1, `enableOfflineQueue: false`, a `commandTimeout`): whatever it waits for, `send` waits for, up to 2 s.
   */
  redis?: Redis | Cluster;
  /** Hears of what an operator should know; nobody does by default. pino fits. */
  logger?: Logger;
}

const connectWithinMs = 2_000;

const silent: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/** Makes a producer. Throws one error with every mistake in the settings; connects in the background. */
export function createOtpProducer({ app, env, redis, logger = silent }: OtpProducerOptions): OtpProducer {
  const config = load(env, 'producer');
  const connection = redis ?? connect(config.redisUrl?.reveal(), logger);
  // The app's logger may print all of an error, and the failed command on it can be a login.
  const onError = (err: Error) =>
    logger.error({ event: 'queue.error', err: serializeError(err) }, 'queue error');
  const store = storeOf(connection, config, logger);
  const sendOtpQueue = createSendOtpQueue({ connection, onError, shards: config.queues.shards });
  const settings = requestSettings(config, createAppRegistry(config));
  return createProducer({
    app,
    store,
    settings,
    connected: connected(connection),
    enqueuer: createEnqueuer({ store, sendOtpQueue, settings, logger }),
    close: async () => {
      await sendOtpQueue.close();
      if (!redis) await disconnect(connection);
    },
  });
}

/** What is asked before the connection is there would fail at once; how it went is seen by what is asked then. */
async function connected(redis: Redis | Cluster): Promise<void> {
  if (redis.status === 'ready') return;
  const signal = AbortSignal.timeout(connectWithinMs);
  await once(redis, 'ready', { signal }).catch(() => {});
}

function connect(url: string | undefined, logger: Logger): Redis | Cluster {
  if (url === undefined) {
    throw new ConfigError([{ variable: 'REDIS_URL', problem: 'is missing, and there is no connection' }]);
  }
  const redis = connectForRequests(url);
  redis.on('error', (err) =>
    logger.error({ event: 'redis.error', err: serializeError(err) }, 'Redis is not reachable'),
  );
  return redis;
}
