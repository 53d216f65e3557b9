import type { Response } from 'express';
import type { ProblemCode } from './problems.js';

/** What the log line of a request will say; filled in as the request is understood. */
export interface RequestContext {
  requestId: string;
  startedAt: number;
  /** As in the documentation: `/v1/otps/{id}`. Null while, or because, no route matched. */
  route: string | null;
  app: string | null;
  /** The name of the admin's login. */
  admin: string | null;
  /** Whether it is to change something, where its method does not tell. */
  changes: boolean | null;
  /** What is asked for, by a word that stays; null while, or because, that is not known. */
  operation: string | null;
  /** Only of an OTP that was found: an id in a path can be anything. */
  otpId: string | null;
  batchId: string | null;
  problem: ProblemCode | null;
  /** A stable word for what is behind the problem. */
  reason: string | null;
  /** What the route counts when the request is over. */
  ended: ((end: RequestEnd) => void) | null;
}

/** How a request of a known app ended. */
export interface RequestEnd {
  app: string;
  /** Null when it was answered as asked, or not at all. */
  problem: ProblemCode | null;
  /** The client was gone before it was answered. */
  aborted: boolean;
}

const contexts = new WeakMap<Response, RequestContext>();

/** Begins the context of a request. */
export function beginContext(res: Response, requestId: string): RequestContext {
  const context: RequestContext = {
    requestId,
    startedAt: performance.now(),
    route: null,
    app: null,
    admin: null,
    changes: null,
    operation: null,
    otpId: null,
    batchId: null,
    problem: null,
    reason: null,
    ended: null,
  };
  contexts.set(res, context);
  return context;
}

/** The context of a request; throws for one that was never begun. */
export function contextOf(res: Response): RequestContext {
  const context = contexts.get(res);
  if (!context) throw new Error('the request has no context');
  return context;
}
