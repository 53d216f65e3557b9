import { type RequestHandler, type Response, Router } from 'express';
import { contextOf } from './context.js';
import { ApiProblem } from './problem.js';
import type { Answer, Route } from './route.js';

/** A router that answers the routes, and every other method on their paths with 405. */
export function serveRoutes(routes: readonly Route[]): Router {
  const router = Router({ caseSensitive: true, strict: true });
  for (const [path, ofPath] of byPath(routes)) {
    const expressPath = path.replaceAll(/\{(\w+)\}/g, ':$1');
    router.all(expressPath, (_req, res, next) => {
      contextOf(res).route = path;
      next();
    });
    for (const route of ofPath) router[route.method](expressPath, serve(route));
    router.all(expressPath, refuseMethod(ofPath));
  }
  return router;
}

function byPath(routes: readonly Route[]): Map<string, Route[]> {
  const grouped = new Map<string, Route[]>();
  for (const route of routes) grouped.set(route.path, [...(grouped.get(route.path) ?? []), route]);
  return grouped;
}

function serve(route: Route): RequestHandler {
  return async (req, res) => {
    const { status, headers = {}, body }: Answer = await route.run(req, res);
    res.status(status).set(headers);
    if (body === undefined) res.end();
    else if (typeof body === 'string') res.send(body);
    else if (Symbol.asyncIterator in body) await sendParts(res, body);
    else res.json(body);
  };
}

/**
 * How much of an answer may wait to be read before no more of it is made. A client that reads only once it has written
 * all must not get stuck before that: so much is the answer to 200,000 lines of an upload.
 */
const mostUnreadBytes = 16 * 1_024 * 1_024;

async function sendParts(res: Response, parts: AsyncIterable<string>): Promise<void> {
  for await (const part of parts) {
    if (res.closed) return;
    if (res.write(part) || res.writableLength < mostUnreadBytes) continue;
    await new Promise<void>((resolve) => {
      res.once('drain', resolve).once('close', resolve);
    });
  }
  res.end();
}

function refuseMethod(routes: readonly Route[]): RequestHandler {
  const methods = routes.map(({ method }) => method.toUpperCase());
  const allow = methods.includes('GET') ? ['HEAD', ...methods] : methods;
  return () => {
    throw new ApiProblem('method_not_allowed', { headers: { Allow: allow.sort().join(', ') } });
  };
}
