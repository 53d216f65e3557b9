import type { Request, RequestHandler, Response } from 'express';
import type { Logger } from '../../lib/logger.js';
import { randomText } from '../../otp/otp-id.js';
import type { Audit, AuditEntry } from '../../store/audit.js';
import type { ApiMetrics } from '../routes/metrics.js';
import { beginContext, type RequestContext } from './context.js';

const longestPath = 200;

/** What nginx calls a request whose client was gone before it was answered. */
const goneStatus = 499;

export interface TrackingDependencies {
  logger: Logger;
  metrics: Pick<ApiMetrics, 'request'>;
  store: { audit: Pick<Audit, 'add'> };
}

/**
 * Gives each request an id (`X-Request-Id`); when it is over, it is counted and gets one line in the log, and one in the
 * audit trail when it was to change something.
 */
export function trackRequests({ logger, metrics, store }: TrackingDependencies): RequestHandler {
  return (req, res, next) => {
    const context = beginContext(res, `req_${randomText()}`);
    res.setHeader('X-Request-Id', context.requestId);
    res.once('close', () => {
      const { startedAt, requestId, route, app, otpId, batchId, problem, reason } = context;
      const durationMs = performance.now() - startedAt;
      const aborted = !res.writableFinished;
      const status = aborted ? goneStatus : res.statusCode;
      metrics.request({ method: req.method, route, status, seconds: durationMs / 1_000 });
      if (app !== null) context.ended?.({ app, problem, aborted });
      const entry = auditEntryOf(req, res, context);
      if (entry) {
        store.audit.add(entry).catch((err: unknown) => {
          logger.error(
            { event: 'audit.lost', requestId, err },
            'an entry of the audit trail was not written',
          );
        });
      }
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
        batchId: batchId ?? undefined,
        problem: problem ?? undefined,
        reason: reason ?? undefined,
        aborted: aborted ? true : undefined,
      };
      logger.info(line, 'request');
    });
    next();
  };
}

/** Who changed something, or tried to; null for what only reads, and for strangers. */
function auditEntryOf(req: Request, res: Response, context: RequestContext): AuditEntry | null {
  const { app, admin, changes, operation, route, otpId, batchId, problem, requestId } = context;
  const actor = app !== null ? `app:${app}` : admin !== null ? `admin:${admin}` : null;
  if (actor === null || !(changes ?? !['GET', 'HEAD'].includes(req.method))) return null;
  const subject = otpId ?? batchId;
  return {
    at: Date.now(),
    actor,
    action:
      operation ??
      `${req.method} ${admin !== null && res.statusCode < 400 ? pathOf(req) : (route ?? 'none')}`,
    ...(subject !== null && { subject }),
    result: res.writableFinished ? String(res.statusCode) : 'aborted',
    ...(problem !== null && { code: problem }),
    requestId,
  };
}

/** Of an admin page, which says what was done; nobody but the admin can write one. */
function pathOf({ originalUrl }: Request): string {
  return originalUrl.split('?')[0]?.slice(0, longestPath) ?? '';
}
