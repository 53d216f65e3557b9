import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express } from 'express';
import helmet from 'helmet';
import { createTimeSlices } from '../lib/time-slices.js';
import { withTimeouts } from '../lib/with-timeout.js';
import { redisDeadlineMs } from '../producer/redis-trouble.js';
import { adminPages } from './admin/admin.js';
import { ismsCompat } from './compat/isms-compat.js';
import { twilioVerifyCompat } from './compat/twilio-verify-compat.js';
import type { ApiDependencies } from './dependencies.js';
import { docsRoutes } from './docs/docs.js';
import { authenticate } from './http/authentication.js';
import { trackRequests } from './http/context.js';
import { ApiProblem, answerErrors } from './http/problem.js';
import { type Route, serveRoutes } from './http/route.js';
import { balanceRoutes } from './routes/balance.js';
import { batchRoutes } from './routes/batches.js';
import { bulkRoute } from './routes/bulk.js';
import { createOtpRoutes } from './routes/create-otp.js';
import { healthRoutes } from './routes/health.js';
import { otpRoutes } from './routes/otps.js';
import { verifyRoutes } from './routes/verify.js';

/** The API as an Express app, without a server. */
export function createApi(options: ApiDependencies): Express {
  const dependencies = withDeadline(options);
  const { apiKeys, admin, trustedProxies, logger } = dependencies;
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.enable('case sensitive routing').enable('strict routing').set('query parser', 'simple');
  app.set('trust proxy', [...trustedProxies]);
  app.use(trackRequests(dependencies), safeHeaders);
  app.use('/v1', noStore, authenticate(apiKeys));
  app.use(serveRoutes(apiRoutes(dependencies)));
  app.use(ismsCompat(dependencies), twilioVerifyCompat(dependencies));
  if (admin) app.use(adminPages(admin, dependencies));
  app.use(() => {
    throw new ApiProblem('not_found');
  });
  app.use(answerErrors(logger));
  return app;
}

/** Gives each call of the store and the queues a deadline. */
function withDeadline(dependencies: ApiDependencies): ApiDependencies {
  const { store, sendOtpQueue, batchQueue, webhookQueue } = dependencies;
  const { ensure, wake } = batchQueue;
  return {
    ...dependencies,
    store: withTimeouts(store, redisDeadlineMs),
    sendOtpQueue: withTimeouts(sendOtpQueue, redisDeadlineMs),
    batchQueue: { ...batchQueue, ...withTimeouts({ ensure, wake }, redisDeadlineMs) },
    webhookQueue: webhookQueue && withTimeouts(webhookQueue, redisDeadlineMs),
  };
}

/** Every documented route; the documentation is generated from these. */
export function apiRoutes(dependencies: ApiDependencies): Route[] {
  const slices = createTimeSlices();
  const routes = [
    ...createOtpRoutes(dependencies),
    bulkRoute(dependencies, slices),
    ...otpRoutes(dependencies),
    ...verifyRoutes(dependencies),
    ...batchRoutes({ ...dependencies, slices }),
    ...balanceRoutes(dependencies),
    ...healthRoutes(dependencies),
  ];
  return [...routes, ...docsRoutes(routes, dependencies)];
}

/** Headers for data: a browser loads nothing from an answer and shows it in no frame. */
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

/** helmet's headers, which are the same for every answer, computed once. */
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
