import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express from 'express';
import helmet from 'helmet';
import { compile } from 'proxy-addr';
import { createTimeSlices } from '../lib/time-slices.js';
import { withTimeouts } from '../lib/with-timeout.js';
import { redisDeadlineMs } from '../producer/redis-trouble.js';
import { adminPages } from './admin/admin.js';
import { ismsCompat } from './compat/isms-compat.js';
import { twilioVerifyCompat } from './compat/twilio-verify-compat.js';
import type { ApiDependencies } from './dependencies.js';
import { docsFiles, docsRoutes } from './docs/docs.js';
import { createErrorAnswers } from './http/answer.js';
import { authenticate } from './http/authentication.js';
import { trackRequests } from './http/context.js';
import { ApiProblem } from './http/problem.js';
import { createDispatcher, type Route } from './http/route.js';
import { balanceRoutes } from './routes/balance.js';
import { batchRoutes } from './routes/batches.js';
import { bulkRoute } from './routes/bulk.js';
import { createOtpRoutes } from './routes/create-otp.js';
import { healthRoutes } from './routes/health.js';
import { otpRoutes } from './routes/otps.js';
import { verifyRoutes } from './routes/verify.js';

/**
 * The API without a server. Documented routes are served by a router alone, which takes half the CPU (ADR 47); Express serves
 * the admin pages and the compatibility APIs.
 */
export function createApi(options: ApiDependencies): RequestListener {
  const dependencies = withDeadline(options);
  const { apiKeys, trustedProxies, logger } = dependencies;
  const requireKey = authenticate(apiKeys);
  const track = trackRequests(dependencies);
  const trusts = compile([...trustedProxies]);
  const isTrusted = (address: string) => trusts(address, 0);
  const answerError = createErrorAnswers(logger, isTrusted);
  const dispatch = createDispatcher(apiRoutes(dependencies), {
    ...{ authenticate: requireKey, answerError },
    isTrusted,
  });
  const others = otherPages(dependencies, { requireKey, answerError });
  return (req, res) => {
    track(req, res);
    res.setHeaders(constantHeaders);
    if (!dispatch(req, res)) others(req, res);
  };
}

/** Serves admin pages, compatibility APIs and unknown paths. */
function otherPages(
  dependencies: ApiDependencies,
  {
    requireKey,
    answerError,
  }: { requireKey: RequestListener; answerError: ReturnType<typeof createErrorAnswers> },
): RequestListener {
  const { admin, trustedProxies } = dependencies;
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.enable('case sensitive routing').enable('strict routing').set('query parser', 'simple');
  app.set('trust proxy', [...trustedProxies]);
  app.use('/v1', (req, res, next) => {
    res.setHeader('Cache-Control', 'no-store');
    requireKey(req, res);
    next();
  });
  app.use(docsFiles(), ismsCompat(dependencies), twilioVerifyCompat(dependencies));
  if (admin) app.use(adminPages(admin, dependencies));
  app.use(({ path }) => {
    // Throws where it is not percent-encoded properly.
    decodeURIComponent(path);
    throw new ApiProblem('not_found');
  });
  app.use((error: unknown, req: IncomingMessage, res: ServerResponse, _next: express.NextFunction) => {
    answerError(error, req, res);
  });
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

/** For data: a browser loads nothing from an answer and shows it in no frame. */
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
