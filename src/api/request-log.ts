import type { RequestHandler } from 'express';
import { randomText } from '../otp/otp-id.js';
import { beginContext } from './context.js';
import type { Logger } from './logger.js';

/** Gives each request an id (`X-Request-Id`) and one line in the log, written when it is over. */
export function logRequests(logger: Logger): RequestHandler {
  return (req, res, next) => {
    const context = beginContext(res, `req_${randomText()}`);
    res.set('X-Request-Id', context.requestId);
    res.once('close', () => {
      const { startedAt, requestId, ...facts } = context;
      const known = Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== null));
      const line = {
        event: 'http.request',
        requestId,
        method: req.method,
        status: res.statusCode,
        durationMs: Math.round(performance.now() - startedAt),
        ...known,
        ...(!res.writableFinished && { aborted: true }),
      };
      logger.info(line, 'request');
    });
    next();
  };
}
