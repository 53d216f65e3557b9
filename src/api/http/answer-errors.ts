import type { ErrorRequestHandler, Response } from 'express';
import type { Logger } from '../../lib/logger.js';
import { redisTrouble } from '../../producer/redis-trouble.js';
import { contextOf } from './context.js';
import { ApiProblem, problemDocument, problemHeaders, problemMediaType } from './problem.js';
import { problems } from './problems.js';

/** Sends a problem, and leaves its code for the log. */
export function sendProblem(res: Response, problem: ApiProblem): void {
  const context = contextOf(res);
  context.problem = problem.code;
  context.reason = problem.facts.reason ?? null;
  res
    .status(problems[problem.code].status)
    .set(problemHeaders(problem))
    .set('Content-Type', problemMediaType)
    .send(Buffer.from(JSON.stringify(problemDocument(problem))));
}

/** The end of every request that failed: whatever was thrown becomes a line of the problem table. */
export function answerErrors(logger: Logger): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    const problem = problemOf(error);
    if (problem.code === 'internal_error') {
      logger.error(
        { event: 'http.internal_error', requestId: contextOf(res).requestId, ...traceOf(error) },
        'a request failed in a way that nothing foresees',
      );
    }
    if (!res.headersSent) return sendProblem(res, problem);
    // The answer has begun: what is left to say is that it is not whole.
    const context = contextOf(res);
    context.problem = problem.code;
    context.reason = problem.facts.reason ?? null;
    res.destroy();
  };
}

/** The problem that an error stands for; null for a bug. */
export function knownProblem(error: unknown): ApiProblem | null {
  if (error instanceof ApiProblem) return error;
  const trouble = redisTrouble(error);
  return trouble === null ? null : new ApiProblem('queue_unavailable', { reason: trouble });
}

function problemOf(error: unknown): ApiProblem {
  const known = knownProblem(error);
  if (known) return known;
  if (error instanceof URIError) {
    return new ApiProblem('invalid_request', { detail: 'The path is not percent-encoded properly.' });
  }
  return new ApiProblem('internal_error');
}

/** Where it failed, without the message: that may quote what must not be logged. */
function traceOf(error: unknown): object {
  if (!(error instanceof Error)) return { error: typeof error };
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return { error: error.name, frames: frames?.map((line) => line.trim()) };
}
