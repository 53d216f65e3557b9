import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { z } from 'zod';
import { createApi } from '../api/api.js';
import type { ApiSettings } from '../api/settings.js';
import { answerUnreadable, answerUnroutable, isRoutable } from '../api/unreadable-request.js';
import type { ConfigFor } from '../config/commands.js';
import { createBalanceQueue } from '../queues/balance.js';
import { createSendOtpQueue, operatorPauseKey } from '../queues/send-otp.js';
import { createStore } from '../store/store.js';
import { disconnect, ismsProvider, policyOf, sealerOf } from './parts.js';
import { connectForRequests, logNewHistory, warnOfLossyRedis } from './redis.js';
import type { Parts } from './running.js';

/** How long a request may take to arrive: a slow client must not hold a connection for long. */
const serverTimeouts = { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 };
/** The longest `Prefer: wait` and 5 s more. */
const answerWithinMs = 35_000;

/** The HTTP API; resolves with its URL. Starts without Redis too, and answers 503 until it is there. */
export async function runApi(config: ConfigFor<'api'>, logger: Logger, parts: Parts): Promise<string> {
  const redis = connectForRequests(config.redisUrl.reveal());
  redis.on('error', (err) => logger.error({ event: 'redis.error', err }, 'Redis is not reachable'));
  redis.once('ready', () => void warnOfLossyRedis(redis, logger).catch(() => {}));
  const onQueueError = (err: Error) => logger.error({ event: 'queue.error', err }, 'queue error');
  parts.add({ close: () => disconnect(redis) });
  const provider = parts.add(ismsProvider(config));
  const app = createApi({
    store: createStore({
      redis,
      sealer: sealerOf(config),
      policy: policyOf(config),
      operatorPauseKey,
      balanceLimits: config.balance,
      onNewHistory: (finding) => logNewHistory(finding, logger),
    }),
    sendOtpQueue: createSendOtpQueue(redis, onQueueError),
    balanceQueue: createBalanceQueue(redis, onQueueError),
    provider,
    apiKeys: config.apiKeys,
    admin: config.admin
      ? { username: config.admin.username, password: config.admin.password.reveal() }
      : null,
    settings: apiSettings(config),
    version: packageVersion(),
    logger,
  });
  const server = createServer(serverTimeouts, (req, res) => {
    if (isRoutable(req.url)) app(req, res);
    else answerUnroutable(res);
  }).on('clientError', answerUnreadable);
  const url = await listen(server, config.http);
  parts.add({ close: () => closeServer(server) });
  logger.info({ event: 'api.started', url }, 'API started');
  return url;
}

function apiSettings({ defaults, allowedCountries, otp }: ConfigFor<'api'>): ApiSettings {
  return {
    defaultMessage: defaults.message,
    defaultSenderId: defaults.senderId ?? null,
    defaultCountry: defaults.country,
    allowedCountries,
    ttlSeconds: otp.ttlSeconds,
    maxAttempts: otp.maxAttempts,
    sendWithinSeconds: otp.sendWithinSeconds,
  };
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

async function listen(server: Server, at: { host: string; port: number }): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => resolve());
  });
  const { address, port } = server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** Requests under way are answered; idle connections end at once, and what is left after 35 s is cut off. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  const cutOff = setTimeout(() => server.closeAllConnections(), answerWithinMs);
  await closed;
  clearTimeout(cutOff);
}
