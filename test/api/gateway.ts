import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Redis } from 'ioredis';
import { type Simulator, startSimulator } from 'isms-2fa-simulator';
import { expect } from 'vitest';
import { createApi } from '../../src/api/api.js';
import type { ApiDependencies } from '../../src/api/dependencies.js';
import { createHttpServer } from '../../src/api/http/http-server.js';
import { createGateway } from '../../src/main/gateway.js';
import { createLifecycle } from '../../src/main/lifecycle.js';
import { load as loadConfig } from '../../src/main/load.js';
import { connectForRequests } from '../../src/main/redis.js';
import { plainApp } from '../../src/otp/app.js';
import { momentIn, type Provider } from '../../src/otp/provider.js';
import type { RequestSettings } from '../../src/producer/otp-request.js';
import type { Clock } from '../../src/provider/circuit-breaker.js';
import type { BatchQueue } from '../../src/queues/batch.js';
import type { SendOtpQueue } from '../../src/queues/send-otp.js';
import { createWebhookQueue } from '../../src/queues/webhook.js';
import type { Policy } from '../../src/store/script.js';
import type { Store } from '../../src/store/store.js';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.js';
import { afterFile } from '../support/clean-up.js';
import { claimed, testStore } from '../support/otps.js';
import { account, gatewayEnvironment } from '../support/processes.js';
import { connect, databaseUrl } from '../support/redis.js';

export { account };
export const shopKey = 'shop-key-of-24-characters-or-more';
export const bankKey = 'bank-key-of-24-characters-or-more';
export const admin = { username: 'operator', password: 'correct-horse-battery' };

export const settings: RequestSettings = {
  apps: { of: plainApp },
  defaultMessage: 'Your {brand} verification code is %OTP%. Do not share it with anyone.',
  defaultSenderId: null,
  defaultCountry: 'MY',
  allowedCountries: ['MY'],
  ttlSeconds: 300,
  maxAttempts: 5,
  sendDeadlineSeconds: 120,
  bulkSendDeadlineSeconds: 3_600,
  contentPolicy: 'enforce',
  fraudGuardEnforces: false,
};

export interface Call {
  key?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  json: unknown;
}

export interface Gateway {
  url: string;
  store: Store;
  batchQueue: BatchQueue;
  /** For reading what is stored. */
  redis: Redis;
  simulator: Simulator;
  /** Every line logged so far, as JSON. */
  logs: string[];
  metrics: Metrics;
  call(method: string, path: string, call?: Call): Promise<Reply>;
  /** The id of an OTP that iSMS has sent, and the code in it. */
  sent(body?: object): Promise<{ id: string; code: string }>;
  /** Sends a queued OTP; the code in it. */
  send(id: string): Promise<string>;
  close(): Promise<void>;
}

export interface GatewayOptions {
  /** Another Redis than this file's own, reachable or not. */
  redisUrl?: string;
  policy?: Partial<Policy>;
  dependencies?: Partial<ApiDependencies>;
  verifyTimeoutMs?: number;
  /** Wraps the iSMS client. */
  isms?: (isms: Provider) => Provider;
  /** The clock of circuit breakers and retry budget. */
  clock?: Clock;
  /** The load that admission sees instead. */
  load?: Store['load'];
  /** How OTPs are enqueued instead. */
  add?: SendOtpQueue['add'];
}

const apiKey = (app: string, key: string) => ({ app, digest: createHash('sha256').update(key).digest() });

/** The API on a free port, on this file's own database, with the simulator as its provider. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const { policy, dependencies, verifyTimeoutMs = 5_000, isms, clock, load, add } = options;
  const redisUrl = options.redisUrl ?? databaseUrl();
  const ownRedis = options.redisUrl === undefined ? await connect() : undefined;
  const redis = connectForRequests(redisUrl) as Redis;
  redis.on('error', () => {});
  if (ownRedis) await once(redis, 'ready');
  const simulator = await startSimulator(account);
  const logs: string[] = [];
  const log = (fields: object, message: string) => logs.push(JSON.stringify({ ...fields, message }));
  const logger = { info: log, warn: log, error: log };
  const metrics = createMetrics('0.0.0');
  const lifecycle = createLifecycle(() => {});
  const config = loadConfig(gatewayEnvironment(redisUrl, simulator), 'worker');
  Object.assign(config.isms, { connectTimeoutMs: 1_000, sendTimeoutMs: 5_000, verifyTimeoutMs });
  const parts = createGateway(config, {
    ...{ redis, logger, metrics, lifecycle },
    override: (made) => {
      const store = testStore(redis, policy);
      return {
        store: { ...store, ...(load && { load }) },
        sendOtpQueue: { ...made.sendOtpQueue, ...(add && { add, jobCallFactory: async () => null }) },
        webhookQueue: createWebhookQueue(redis, () => {}),
        isms: isms?.(made.isms) ?? made.isms,
        ...(clock && { clock }),
        settings: dependencies?.settings ?? settings,
        apps: { ...made.apps, all: () => ['shop', 'bank'].map(plainApp) },
        // Configuration refuses an empty key; the API must reject it as well.
        apiKeys: () => [apiKey('shop', shopKey), apiKey('bank', bankKey), apiKey('without-key', '')],
        ismsCompatApi: 'get',
        admin: { ...admin, actions: false },
      };
    },
  });
  const { store, provider } = parts;
  const app = createApi({ ...parts, ...dependencies });
  const server = createHttpServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const send: Gateway['send'] = async (id) => {
    const claim = await claimed(store, id);
    const endBy = performance.now() + 5_000;
    const outcome = await provider.send({ ...claim.otp, callNumber: 1 }, { leaveBy: momentIn(5_000), endBy });
    await store.sendAttempts.settle(claim, outcome);
    return simulator.state.inbox({ mobile: claim.otp.to.e164, limit: 1 })[0]?.code ?? '';
  };
  const call: Gateway['call'] = (method, path, request) => callApi(`${url}${path}`, method, request);
  const gateway: Gateway = {
    url,
    store,
    batchQueue: parts.batchQueue,
    redis: ownRedis ?? redis,
    simulator,
    logs,
    metrics,
    call,
    sent: async (body = {}) => {
      const reply = await call('POST', '/v1/otps', { body: { to: '0123456789', ...body } });
      const { id } = reply.json as { id: string };
      return { id, code: await send(id) };
    },
    send,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await simulator.close();
      await lifecycle.close();
      redis.disconnect();
    },
  };
  afterFile(gateway.close);
  return gateway;
}

async function callApi(url: string, method: string, call: Call = {}): Promise<Reply> {
  const { key = shopKey, body, headers = {} } = call;
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      ...(key !== null && { Authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: isRaw(body) ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json: unknown =
    /json/.test(response.headers.get('Content-Type') ?? '') && text ? JSON.parse(text) : null;
  return { status: response.status, headers: response.headers, text, json };
}

function isRaw(body: unknown): body is string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' || body instanceof Uint8Array;
}

/** Expects a problem document with this code, complete and of the right type. */
export function expectProblem(reply: Reply, status: number, code: string): void {
  expect(reply.json).toMatchObject({
    type: expect.stringMatching(new RegExp(`^http://[^/]+/docs/errors#${code}$`)),
    status,
    code,
  });
  expect(reply.json).toMatchObject({ title: expect.any(String), detail: expect.any(String) });
  expect(reply.status).toBe(status);
  expect(reply.headers.get('Content-Type')).toBe('application/problem+json');
  expect(reply.headers.get('Cache-Control')).toBe('no-store');
  expect(reply.headers.has('Retry-After')).toBe(
    status === 503 || (status === 429 && code !== 'recipient_locked'),
  );
}
