import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type ParsedUrlQuery, parse as parseQuery } from 'node:querystring';
import accepts from 'accepts';
import findMyWay from 'find-my-way';
import { z } from 'zod';
import { type Answer, sendAnswer } from './answer.js';
import { readJson } from './body.js';
import { contextOf, nameRoute, type RequestContext, type RequestEnd } from './context.js';
import { ApiProblem } from './problem.js';
import type { ProblemCode } from './problems.js';
import { headerOf, originOf, parseHeaders, parseInput } from './request.js';

/** A successful answer, as the documentation shows it. */
interface DocumentedAnswer {
  description: string;
  /** Descriptions by header name. */
  headers?: Record<string, string>;
  body?: NamedBody | { mediaType: string };
}

/** A JSON body with the name of its schema. */
interface NamedBody<S extends z.ZodType = z.ZodType> {
  name: string;
  schema: S;
  example: unknown;
  /** The same data as records in other media types, such as newline-delimited JSON. */
  records?: { mediaTypes: readonly string[]; name: string; schema: z.ZodType };
}

/** A request body, and how it is read. */
interface RequestBody<S extends z.ZodType = z.ZodType> extends NamedBody<S> {
  optional?: true;
  /** Reads the input for the schema; by default a JSON body of at most 16 KiB. */
  read?: (call: Call) => Promise<unknown>;
}

/** A request that a route serves. */
export interface Call extends Pick<DispatcherOptions, 'isTrusted'> {
  req: IncomingMessage;
  res: ServerResponse;
  /** `{id}` of the path, or empty. */
  id: string;
  query: ParsedUrlQuery;
}

/** A route without its handler: source of the router, the OpenAPI document and the API reference. */
interface RouteFacts {
  method: 'get' | 'post' | 'patch' | 'delete';
  /** In OpenAPI's notation: `/v1/otps/{id}`. Paths under `/v1` need a key. */
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  description: string;
  answers: Record<number, DocumentedAnswer>;
  problems: readonly ProblemCode[];
  /** Called after each request of a known app, for metrics. */
  ended?: (end: RequestEnd) => void;
}

/** The validated input of a route's handler. */
interface RouteInput<B, Q, H> {
  app: string;
  /** `{id}` of the path, or empty. */
  id: string;
  body: B;
  query: Q;
  headers: H;
  /** The media type that the client prefers; empty if it accepts none of them. */
  accepts(mediaTypes: readonly string[]): string;
  /** Takes the OTP or batch of the request for its log line, audit entry and metrics. */
  context: Pick<RequestContext, 'otpId' | 'batchId' | 'request'>;
  /** The gateway's URL as the client knows it. */
  origin(): string;
  /** Whether a client on this machine asks for a name of this machine. */
  isLocal(): boolean;
  /** Aborts when the client disconnects, or after `withinMs`. */
  abortSignal(withinMs?: number): AbortSignal;
}

export interface Route extends RouteFacts {
  body: RequestBody | null;
  query: z.ZodObject | null;
  headers: z.ZodObject | null;
  run(call: Call): Promise<Answer>;
}

const nothing = z.strictObject({});

/** Defines a route by its documentation, the schemas of its input (header names as in HTTP) and its handler. */
export function defineRoute<
  B extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodObject = typeof nothing,
  H extends z.ZodObject = typeof nothing,
>(
  definition: RouteFacts & {
    body?: RequestBody<B>;
    query?: Q;
    headers?: H;
    handle(input: RouteInput<z.output<B>, z.output<Q>, z.output<H>>): Promise<Answer>;
  },
): Route {
  const { body = null, query = null, headers = null, handle, ...facts } = definition;
  return {
    ...facts,
    body,
    query,
    headers,
    run: async (call) => {
      const { req, res, id } = call;
      const context = contextOf(res);
      return await handle({
        context,
        app: context.app ?? '',
        id,
        query: (query ? parseInput(query, call.query) : {}) as z.output<Q>,
        headers: (headers ? parseHeaders(headers, req) : {}) as z.output<H>,
        body: (body && parseInput(body.schema, await (body.read?.(call) ?? readJson(req)))) as z.output<B>,
        accepts: (mediaTypes) => String(accepts(req).type([...mediaTypes]) || ''),
        origin: () => originOf(req, call.isTrusted),
        isLocal: () => isLocal(req),
        abortSignal: (withinMs) => abortSignal(res, withinMs),
      });
    },
  };
}

/** Aborts when the client disconnects, or after `withinMs`. (`AbortSignal.any` drops an unreferenced time-out.) */
export function abortSignal(res: ServerResponse, withinMs?: number): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  // A response that is closed already emits no `close`.
  if (res.closed) abort();
  else res.once('close', abort);
  if (withinMs !== undefined && !controller.signal.aborted) {
    const timer = setTimeout(abort, withinMs);
    controller.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  }
  return controller.signal;
}

interface DispatcherOptions {
  /** Called for paths under `/v1`; throws without a known key. */
  authenticate: RequestListener;
  answerError(error: unknown, req: IncomingMessage, res: ServerResponse): void;
  /** Whether this address is of a trusted proxy. */
  isTrusted(address: string): boolean;
}

/** Bytes: no request line is longer. */
const maxParamLength = 16 * 1_024;

/** Serves the routes, and answers other methods on their paths with 405; false: no route has this path. */
export function createDispatcher(
  routes: readonly Route[],
  { authenticate, answerError, isTrusted }: DispatcherOptions,
): (req: IncomingMessage, res: ServerResponse) => boolean {
  const router = findMyWay({ caseSensitive: true, maxParamLength, querystringParser: parseQuery });
  for (const [path, ofPath] of Map.groupBy(routes, (route) => route.path)) {
    const byMethod = new Map(ofPath.map((route) => [route.method.toUpperCase(), route]));
    const get = byMethod.get('GET');
    if (get) byMethod.set('HEAD', get);
    const allow = [...byMethod.keys()].sort().join(', ');
    const serve = async (call: Call) => {
      const { req, res } = call;
      nameRoute(res, path);
      const context = contextOf(res);
      if (/^\/v1(\/|$)/.test(path)) {
        context.headers['Cache-Control'] = 'no-store';
        authenticate(req, res);
      }
      const route = byMethod.get(req.method ?? '');
      if (!route) throw new ApiProblem('method_not_allowed', { headers: { Allow: allow } });
      context.ended = route.ended ?? null;
      context.operation = route.operationId;
      await sendAnswer(res, await route.run(call));
    };
    // Each path once: which methods it has is told above.
    router.on('GET', path.replaceAll(/\{(\w+)\}/g, ':$1'), () => {}, serve);
  }
  return (req, res) => {
    const found = router.find('GET', req.url ?? '');
    // Without the parameter, it is another path.
    if (!found || found.params['id'] === '') return false;
    const { store, params, searchParams: query } = found;
    const call: Call = { req, res, id: params['id'] ?? '', query, isTrusted };
    (store as (call: Call) => Promise<void>)(call).catch((error: unknown) => answerError(error, req, res));
    return true;
  };
}

const byProxies = [
  'Forwarded',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Real-IP',
  'Via',
];

/** Whether a client on this machine, and no proxy, asks by a loopback name, which DNS cannot rebind. */
function isLocal(req: IncomingMessage): boolean {
  if (byProxies.some((name) => headerOf(req, name) !== '')) return false;
  const isLoopback = /^(?:127\.|::1$|::ffff:127\.)/.test(req.socket.remoteAddress ?? '');
  return isLoopback && /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i.test(headerOf(req, 'Host'));
}
