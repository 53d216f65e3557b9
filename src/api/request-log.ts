import type { RequestHandler } from 'express';
import { randomText } from '../otp/otp-id.js';
import { beginContext } from './context.js';
import type { Logger } from './logger.js';
import type { ApiMetrics } from './metrics.js';

/** Gives each request an id (`X-Request-Id`); when it is over, it is counted and gets one line in the log. */
export function trackRequests(logger: Logger, metrics: Pick<ApiMetrics, 'request'>): RequestHandler {
  return (req, res, next) => {
    const context = beginContext(res, `req_${randomText()}`);
    res.setHeader('X-Request-Id', context.requestId);
    res.once('close', () => {
      const { startedAt, requestId, route, app, otpId, problem, reason } = context;
      const durationMs = performance.now() - startedAt;
      metrics.request({ method: req.method, route, status: res.statusCode, seconds: durationMs / 1_000 });
      if (app !== null) context.ended?.({ app, problem });
      const line = {
        event: 'http.request',
        requestId,
        method: req.method,
        status: res.statusCode,
        durationMs: Math.round(durationMs),
        // What is undefined is left out of the line.
        route: route ?? undefined,
        app: app ?? undefined,
        otpId: otpId ?? undefined,
        problem: problem ?? undefined,
        reason: reason ?? undefined,
        aborted: res.writableFinished ? undefined : true,
      };
      logger.info(line, 'request');
    });
    next();
  };
}
