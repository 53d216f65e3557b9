import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { z } from 'zod';
import { createApi } from '../api/api.js';
import type { ApiSettings } from '../api/settings.js';
import { answerUnreadable } from '../api/unreadable-request.js';
import type { ConfigFor } from '../config/commands.js';
import { createBalanceQueue } from '../queues/balance.js';
import { createSendOtpQueue, operatorPauseKey } from '../queues/send-otp.js';
import { createStore } from '../store/store.js';
import { disconnect, ismsProvider, policyOf, sealerOf } from './parts.js';
import { connectForRequests } from './redis.js';
import type { Running } from './running.js';

/** The HTTP API. Starts without Redis too, and answers 503 until it is there. */
export async function runApi(config: ConfigFor<'api'>, logger: Logger): Promise<Running & { url: string }> {
  const redis = connectForRequests(config.redisUrl.reveal());
  redis.on('error', (err) => logger.error({ event: 'redis.error', err }, 'Redis is not reachable'));
  const provider = ismsProvider(config);
  const app = createApi({
    store: createStore({
      redis,
      sealer: sealerOf(config),
      policy: policyOf(config),
      operatorPauseKey,
      balanceLimits: config.balance,
    }),
    sendOtpQueue: createSendOtpQueue(redis),
    balanceQueue: createBalanceQueue(redis),
    provider,
    apiKeys: config.apiKeys,
    admin: config.admin
      ? { username: config.admin.username, password: config.admin.password.reveal() }
      : null,
    settings: apiSettings(config),
    version: packageVersion(),
    logger,
  });
  const server = createServer(app).on('clientError', answerUnreadable);
  const url = await listen(server, config.http);
  logger.info({ event: 'api.started', url }, 'API started');
  return {
    url,
    close: async () => {
      await closeServer(server);
      await provider.close();
      await disconnect(redis);
    },
  };
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

/** Requests under way are answered; idle connections end at once. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  await closed;
}
