import type { RequestHandler } from 'express';
import { randomText } from '../otp/otp-id.js';
import { beginContext } from './context.js';
import type { Logger } from './logger.js';

/** Gives each request an id (`X-Request-Id`) and one line in the log, written when it is over. */
export function logRequests(logger: Logger): RequestHandler {
  return (req, res, next) => {
    const context = beginContext(res, `req_${randomText()}`);
    res.setHeader('X-Request-Id', context.requestId);
    res.once('close', () => {
      const { startedAt, requestId, route, app, otpId, problem, reason } = context;
      const line = {
        event: 'http.request',
        requestId,
        method: req.method,
        status: res.statusCode,
        durationMs: Math.round(performance.now() - startedAt),
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
