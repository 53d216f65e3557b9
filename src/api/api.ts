import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ErrorRequestHandler } from 'express';
import helmet from 'helmet';
import { compile } from 'proxy-addr';
import { once } from '../lib/memoize.js';
import { createTimeSlices } from '../lib/time-slices.js';
import { withTimeouts } from '../lib/with-timeout.js';
import { redisDeadlineMs } from '../producer/redis-trouble.js';
import type { ApiDependencies } from './dependencies.js';
import { docsRoutes, serveSwaggerUi } from './docs/docs.js';
import { createErrorAnswers } from './http/answer.js';
import { authenticate } from './http/authentication.js';
import { contextOf, trackRequests } from './http/context.js';
import { ApiProblem } from './http/problem.js';
import { createDispatcher, type Route } from './http/route.js';
import { balanceRoutes } from './routes/balance.js';
import { batchRoutes } from './routes/batches.js';
import { bulkRoute, createAppSlots } from './routes/bulk.js';
import { createOtpRoutes } from './routes/create-otp.js';
import { healthRoutes } from './routes/health.js';
import { listOtps } from './routes/list-otps.js';
import { otpRoutes } from './routes/otps.js';
import { statsRoute } from './routes/stats.js';
import { verifyRoutes } from './routes/verify.js';

/**
 * The API without a server. Documented routes are served by a router alone, which takes half the CPU (ADR 47); Express serves
 * the admin pages and the compatibility APIs.
 */
export function createApi(options: Omit<ApiDependencies, 'slices'>): RequestListener {
  const dependencies = { ...withDeadline(options), slices: createTimeSlices() };
  const { apiKeys, trustedProxies, logger } = dependencies;
  const requireKey = authenticate(apiKeys);
  const track = trackRequests(dependencies, constantHeaders);
  const trusts = compile([...trustedProxies]);
  const isTrusted = (address: string) => trusts(address, 0);
  const answerError = createErrorAnswers(logger, isTrusted);
  const handling = { authenticate: requireKey, answerError, isTrusted };
  const dispatch = createDispatcher(apiRoutes(dependencies), handling);
  const others = once(() => otherPages(dependencies, requireKey, answerError));
  return (req, res) => {
    track(req, res);
    if (dispatch(req, res)) return;
    res.setHeaders(new Map(Object.entries(contextOf(res).headers)));
    others().then(
      (answer) => answer(req, res),
      (error: unknown) => answerError(error, req, res),
    );
  };
}

/** Serves admin pages, compatibility APIs and unknown paths; imports what they need, which an idle API does without. */
async function otherPages(
  dependencies: ApiDependencies,
  requireKey: RequestListener,
  answerError: ReturnType<typeof createErrorAnswers>,
): Promise<RequestListener> {
  const { admin, trustedProxies } = dependencies;
  const { default: express } = await import('express');
  const { ismsCompat } = await import('./compat/isms-compat.js');
  const { twilioVerifyCompat } = await import('./compat/twilio-verify-compat.js');
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.enable('case sensitive routing').enable('strict routing').set('query parser', 'simple');
  app.set('trust proxy', [...trustedProxies]);
  app.use('/v1', (req, res, next) => {
    res.setHeader('Cache-Control', 'no-store');
    requireKey(req, res);
    next();
  });
  serveSwaggerUi(app);
  app.use(ismsCompat(dependencies), twilioVerifyCompat(dependencies));
  if (admin) app.use((await import('./admin/admin.js')).adminPages(admin, dependencies));
  app.use(({ path }) => {
    // Throws where it is not percent-encoded properly.
    decodeURIComponent(path);
    throw new ApiProblem('not_found');
  });
  const onError: ErrorRequestHandler = (error, req, res, _next) => answerError(error, req, res);
  return app.use(onError);
}

/** Gives each call of the store and the queues a deadline. */
function withDeadline(dependencies: Omit<ApiDependencies, 'slices'>): Omit<ApiDependencies, 'slices'> {
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
  const exportSlots = createAppSlots('too_many_exports');
  const routes = [
    ...createOtpRoutes(dependencies),
    bulkRoute(dependencies),
    ...otpRoutes(dependencies),
    listOtps({ ...dependencies, exportSlots }),
    ...verifyRoutes(dependencies),
    ...batchRoutes({ ...dependencies, exportSlots }),
    ...balanceRoutes(dependencies),
    statsRoute(dependencies),
    ...healthRoutes(dependencies),
  ];
  return [...routes, ...docsRoutes(routes, dependencies)];
}

/** For data: a browser loads nothing from an answer and shows it in no frame. */
const directives = { defaultSrc: ["'none'"], frameAncestors: ["'none'"] };
const helmetForData = helmet({ contentSecurityPolicy: { useDefaults: false, directives } });

/** helmet's headers, which are the same for every answer, computed once. */
const constantHeaders = (() => {
  const headers: Record<string, string> = {};
  const setHeader = (name: string, value: string) => {
    headers[name] = value;
  };
  const res = { setHeader, removeHeader: () => {} } as unknown as ServerResponse;
  helmetForData({} as IncomingMessage, res, () => {});
  return headers;
})();
