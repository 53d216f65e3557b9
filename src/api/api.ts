import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express } from 'express';
import helmet from 'helmet';
import type { Logger } from '../lib/logger.js';
import { createTimeSlices } from '../lib/time-slices.js';
import { withTimeouts } from '../lib/with-timeout.js';
import type { Provider } from '../otp/provider.js';
import type { Enqueuer } from '../producer/enqueue.js';
import { redisDeadlineMs } from '../producer/redis-trouble.js';
import type { RequestSettings } from '../producer/settings.js';
import type { BalanceQueue } from '../queues/balance.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { WebhookQueue } from '../queues/webhook.js';
import type { Store } from '../store/store.js';
import { type Admin, adminPages } from './admin/admin.js';
import { type IsmsCompatApi, ismsCompat } from './compat/isms-compat.js';
import { twilioVerifyCompat } from './compat/twilio-verify-compat.js';
import { docsRoutes } from './docs/docs.js';
import { answerErrors } from './http/answer-errors.js';
import { type ApiKey, authenticate } from './http/authentication.js';
import { ApiProblem } from './http/problem.js';
import { trackRequests } from './http/request-log.js';
import type { Route } from './http/route.js';
import { serveRoutes } from './http/serve-routes.js';
import { balanceRoutes } from './routes/balance.js';
import { batchRoutes } from './routes/batches.js';
import { bulkRoute } from './routes/bulk.js';
import { createOtpRoutes } from './routes/create-otp.js';
import { healthRoutes } from './routes/health.js';
import type { ApiMetrics } from './routes/metrics.js';
import { otpRoutes } from './routes/otps.js';
import { verifyRoutes } from './routes/verify.js';

export interface ApiDependencies {
  /** On a connection that fails fast: one that queues commands makes requests wait for their deadline. */
  store: Pick<
    Store,
    | 'audit'
    | 'failedLogins'
    | 'otps'
    | 'batches'
    | 'verificationAttempts'
    | 'balance'
    | 'probe'
    | 'evictionPolicy'
    | 'holdLease'
    | 'stats'
    | 'sendingPause'
    | 'appHolds'
    | 'ranges'
    | 'conversion'
    | 'load'
    | 'phones'
  >;
  /** Takes OTPs on. */
  enqueuer: Enqueuer;
  sendOtpQueue: Pick<SendOtpQueue, 'remove' | 'queues' | 'backlog' | 'waitingSince'>;
  balanceQueue: Pick<BalanceQueue, 'queue'>;
  /** Null where there is no webhook. */
  webhookQueue: Pick<WebhookQueue, 'queue' | 'counts'> | null;
  provider: Pick<Provider, 'verify' | 'balance'>;
  /** Those that count now. */
  apiKeys: () => readonly ApiKey[];
  /** Which requests of the vendor's own protocol are answered. */
  ismsCompatApi: IsmsCompatApi;
  /** Null: there are no admin pages. */
  admin: Admin | null;
  /** Addresses and CIDR ranges whose `X-Forwarded-For` is believed; that of anybody else is ignored. */
  trustedProxies: readonly string[];
  settings: RequestSettings;
  /** True once the process ends. */
  isEnding(): boolean;
  /** Of the gateway, for the documentation. */
  version: string;
  logger: Logger;
  metrics: ApiMetrics;
}

/** The API as an Express app that listens nowhere; nothing happens until it is asked something. */
export function createApi(given: ApiDependencies): Express {
  const { apiKeys, admin, trustedProxies, logger } = given;
  const dependencies = withDeadline(given);
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.enable('case sensitive routing').enable('strict routing').set('query parser', 'simple');
  app.set('trust proxy', [...trustedProxies]);
  app.use(trackRequests(dependencies), safeHeaders);
  app.use('/v1', noStore, authenticate(apiKeys));
  app.use(serveRoutes(apiRoutes(dependencies)));
  app.use(ismsCompat(dependencies.ismsCompatApi, dependencies), twilioVerifyCompat(dependencies));
  if (admin) app.use(adminPages(admin, dependencies));
  app.use(() => {
    throw new ApiProblem('not_found');
  });
  app.use(answerErrors(logger));
  return app;
}

/** No request waits for a function of the store or of a queue past the deadline. */
function withDeadline(given: ApiDependencies): ApiDependencies {
  const { store, sendOtpQueue, webhookQueue } = given;
  return {
    ...given,
    store: withTimeouts(store, redisDeadlineMs),
    sendOtpQueue: withTimeouts(sendOtpQueue, redisDeadlineMs),
    webhookQueue: webhookQueue && withTimeouts(webhookQueue, redisDeadlineMs),
  };
}

/** Every route but the admin pages: what is served is what is documented. */
export function apiRoutes(
  dependencies: Omit<ApiDependencies, 'apiKeys' | 'ismsCompatApi' | 'admin' | 'trustedProxies'>,
): Route[] {
  const slices = createTimeSlices();
  const routes = [
    ...createOtpRoutes(dependencies),
    bulkRoute({ ...dependencies, slices }),
    ...otpRoutes(dependencies),
    ...verifyRoutes(dependencies),
    ...batchRoutes({ ...dependencies, slices }),
    ...balanceRoutes(dependencies),
    ...healthRoutes(dependencies),
  ];
  return [...routes, ...docsRoutes(routes, dependencies.version)];
}

/** An answer is data: whatever a browser is told that it is, it loads nothing and shows in no frame. */
const safeHeaders: express.RequestHandler = (_req, res, next) => {
  res.setHeaders(constantHeaders);
  next();
};

const helmetForData = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  },
});

/** What helmet sets is the same for every answer, so it is asked once. */
const constantHeaders = (() => {
  const headers = new Map<string, string>();
  const setHeader = (name: string, value: string) => void headers.set(name, value);
  helmetForData(
    {} as IncomingMessage,
    { setHeader, removeHeader: () => {} } as unknown as ServerResponse,
    () => {},
  );
  return headers;
})();

const noStore: express.RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store');
  next();
};
