import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { beginBodyDeadline } from './body-deadline.js';
import { ApiProblem } from './problem.js';
import { answerRefused, answerTunnel, answerUnreadable, noteAnswer } from './unreadable-request.js';

/**
 * How slow a client may be: until its headers are there, counted from their first byte or from the connection while
 * there is none, and from then on until its body is there. The worst client, silent until the last moment and slow
 * from then on, is gone 9.5 s after it connected (twice 2 s + 0.5 s, then 4.5 s); 10 s are promised. Large bodies of
 * known apps may take longer (`takesItsTime`); Node has only one time for all requests, so it is off.
 */
const slowness = { headersTimeout: 2_000, requestTimeout: 0, connectionsCheckingInterval: 500 };
const bodyWithinMs = 4_500;

/**
 * Ends a connection on which an answer is not read, after twice this at most (measured). Longer than the longest
 * `Prefer: wait`, during which nothing is said.
 */
const silenceMs = 40_000;

const mostHeaders = 100;

/** Pipelined requests of one connection that wait for their turn; a few KB of memory each. */
const mostPipelined = 100;

const settings = {
  ...slowness,
  /** Of all header lines and the request line together. */
  maxHeaderSize: 16 * 1_024,
  /** Bytes of a body that wait to be read. In one-byte chunks, each takes about 400 bytes of memory. */
  highWaterMark: 4 * 1_024,
  // Checked below: Node would answer without a problem document.
  requireHostHeader: false,
  insecureHTTPParser: false,
};

/**
 * The server in front of an app, which listens nowhere yet. Holds every setting that a client could exhaust it by,
 * and answers by itself, with problem documents, what never gets to the app: bytes that are no request, what
 * HTTP/1.1 forbids, tunnels, expectations that nobody meets, requests that do not arrive in time. A request to
 * upgrade is answered as one that does not ask for it (RFC 9110 §7.8).
 */
export function createHttpServer(app: RequestListener): Server {
  const serveInOrder = createPipelining();
  const serve: RequestListener = (req, res) => {
    beginBodyDeadline(req, bodyWithinMs, () => answerUnreadable(lateError(), req.socket));
    const target = originForm(req.url);
    const refusal = refusalOf(req);
    if (refusal || target === null) return answerRefused(res, refusal ?? unreadableTarget());
    req.url = target;
    app(req, res);
  };
  const server = createServer(settings, (req, res) => {
    noteAnswer(res);
    serveInOrder(res, () => serve(req, res));
  });
  server.on('checkExpectation', (_req, res) => {
    noteAnswer(res);
    answerRefused(res, new ApiProblem('expectation_failed'));
  });
  server.on('connect', (_req, socket) => answerTunnel(socket));
  server.on('clientError', answerUnreadable);
  server.timeout = silenceMs;
  // Node would drop what is beyond its own limit in silence, an Authorization header for example.
  server.maxHeadersCount = 0;
  return server;
}

/**
 * Serves the requests of a connection one after the other. Node gives a pipelined response its socket when its turn
 * comes; before that it never emits `close`, so whatever waits for the end of the request would wait for ever.
 */
function createPipelining() {
  const waiting = new WeakMap<Socket, number>();
  return (res: ServerResponse, serve: () => void): void => {
    if (res.socket) {
      serve();
      return;
    }
    const { socket } = res.req;
    const before = waiting.get(socket) ?? 0;
    if (before >= mostPipelined) {
      socket.destroy();
      return;
    }
    waiting.set(socket, before + 1);
    res.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) ?? 1) - 1);
      // In a later turn of the event loop, so that other connections have theirs.
      setImmediate(() => {
        if (socket.writable) serve();
      });
    });
  };
}

/** What Node itself says of a request that does not arrive in time. */
function lateError(): NodeJS.ErrnoException {
  return Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
}

/** Why a request that could be read is none for the app, or null. */
function refusalOf({ httpVersion, rawHeaders }: IncomingMessage): ApiProblem | null {
  if (rawHeaders.length / 2 > mostHeaders) return new ApiProblem('headers_too_large');
  // Node reads HTTP/0.9 and 2.0 in this shape, too.
  if (!/^1\.[01]$/.test(httpVersion)) return invalid('Only HTTP/1.1 and HTTP/1.0 are spoken here.');
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
  const missing = hosts === 0 && httpVersion === '1.1';
  return missing || hosts > 1 ? invalid('A request has exactly one Host header (RFC 9112 §3.2).') : null;
}

/**
 * The path and query that a target means, also an absolute one (RFC 9112 §3.2.2), or null: Express would answer a
 * target that it cannot read with a page of its own.
 */
function originForm(target = ''): string | null {
  if (target.startsWith('/')) return target;
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return null;
  const { pathname, search } = new URL(target);
  return pathname + search;
}

function unreadableTarget(): ApiProblem {
  return invalid('The target of the request cannot be read.');
}

function invalid(detail: string): ApiProblem {
  return new ApiProblem('invalid_request', { detail });
}
