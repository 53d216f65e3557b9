import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { trace } from '@opentelemetry/api';
import type { OtpRequest } from '../../otp/otp.js';
import { randomText } from '../../otp/otp-id.js';
import type { AuditEntry } from '../../store/audit.js';
import type { ApiDependencies } from '../dependencies.js';
import { type ProblemCode, problems } from './problems.js';

/** Facts of a request for its log line and audit entry; filled in while the request is handled. */
export interface RequestContext {
  requestId: string;
  /** Headers of every answer, written together with the answer's own. */
  headers: Record<string, string>;
  startedAt: number;
  /** As in the documentation: `/v1/otps/{id}`. Null until a route matches. */
  route: string | null;
  app: string | null;
  /** The name of the admin's login. */
  admin: string | null;
  /** Whether the request changes something, where its method does not tell. */
  changes: boolean | null;
  /** A stable name of the operation; null until it is known. */
  operation: string | null;
  /** Set only once the OTP is found: an id in a path can be anything. */
  otpId: string | null;
  batchId: string | null;
  /** What an OTP was asked for with, once that is read. */
  request: OtpRequest | null;
  problem: ProblemCode | null;
  /** A stable word for the problem's cause. */
  reason: string | null;
  /** Called when the request of a known app is over. */
  ended: ((end: RequestEnd) => void) | null;
}

/** How a request of a known app ended. */
export interface RequestEnd {
  app: string;
  /** The OTP that was asked for, if that could be read. */
  request: OtpRequest | null;
  /** Null when the request succeeded or was aborted. */
  problem: ProblemCode | null;
  /** The client disconnected before the answer. */
  aborted: boolean;
}

const contexts = new WeakMap<ServerResponse, RequestContext>();

/** Creates the context of a request; `headers` are the same for every answer. */
export function beginContext(
  res: ServerResponse,
  requestId: string,
  headers: Record<string, string> = {},
): RequestContext {
  const context: RequestContext = {
    requestId,
    headers: { ...headers, 'X-Request-Id': requestId },
    startedAt: performance.now(),
    route: null,
    app: null,
    admin: null,
    changes: null,
    operation: null,
    otpId: null,
    batchId: null,
    request: null,
    problem: null,
    reason: null,
    ended: null,
  };
  contexts.set(res, context);
  return context;
}

/** The context of a request; throws if there is none. */
export function contextOf(res: ServerResponse): RequestContext {
  const context = contexts.get(res);
  if (!context) throw new Error('the request has no context');
  return context;
}

/** Names the route of a request, for its log line, metrics and span. */
export function nameRoute(res: ServerResponse, route: string): void {
  contextOf(res).route = route;
  trace.getActiveSpan()?.updateName(`${res.req.method} ${route}`).setAttribute('http.route', route);
}

/** Notes that a body came too late: the answer is written to the socket, and this one never finished. */
export function noteLate(res: ServerResponse): void {
  const context = contexts.get(res);
  if (!context || res.headersSent) return;
  context.problem = 'request_timeout';
  res.statusCode = problems.request_timeout.status;
}

/** nginx's status for a request whose client disconnected before the answer. */
const clientClosedStatus = 499;

/**
 * Gives each request an id (`X-Request-Id`); at its end, counts it, logs it and, if it changes something, audits it.
 * `headers`: those of every answer.
 */
export function trackRequests(
  { logger, metrics, store }: ApiDependencies,
  headers: Record<string, string>,
): RequestListener {
  return (req, res) => {
    const context = beginContext(res, `req_${randomText()}`, headers);
    res.once('close', () => {
      const { startedAt, requestId, route, app, otpId, batchId, problem, reason, request } = context;
      const durationMs = performance.now() - startedAt;
      const aborted = !res.writableFinished && problem !== 'request_timeout';
      const status = aborted ? clientClosedStatus : res.statusCode;
      const method = req.method ?? '';
      metrics.request({ method, route, status, seconds: durationMs / 1_000 });
      if (app !== null) context.ended?.({ app, request, problem, aborted });
      const entry = auditEntryOf(req, res, context);
      if (entry) {
        store.audit.add(entry).catch((err: unknown) => {
          logger.error({ event: 'audit.lost', requestId, err }, 'could not write an audit log entry');
        });
      }
      const line = {
        event: 'http.request',
        requestId,
        method,
        status: res.statusCode,
        durationMs: Math.round(durationMs),
        // Undefined members are left out of the line.
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
  };
}

/** The audit entry of a request that changes something; null for reads and for unauthenticated requests. */
function auditEntryOf(req: IncomingMessage, res: ServerResponse, context: RequestContext): AuditEntry | null {
  const { app, admin, changes, operation, route, otpId, batchId, problem, requestId } = context;
  const actor = app !== null ? `app:${app}` : admin !== null ? `admin:${admin}` : null;
  if (actor === null || !(changes ?? !['GET', 'HEAD'].includes(req.method ?? ''))) return null;
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

const longestPath = 200;

/** The path of an admin request, which names the action; only the admin can choose it. */
function pathOf({ url = '', originalUrl = url }: IncomingMessage & { originalUrl?: string }): string {
  return originalUrl.split('?')[0]?.slice(0, longestPath) ?? '';
}
