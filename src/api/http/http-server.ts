import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { startTimeout } from '../../lib/with-timeout.js';
import { beginBodyDeadline } from './body.js';
import { noteLate } from './context.js';
import { ApiProblem, problemDocument, problemHeaders, problemMediaType, unreadable } from './problem.js';
import { type ProblemCode, problems } from './problems.js';

/**
 * Deadlines for slow clients: 2 s for the headers, from their first byte or from the connection while there is none, then
 * 4.5 s for the body. The slowest client is gone 9.5 s after it connected (twice 2 s + 0.5 s, then 4.5 s); 10 s are
 * promised. Large bodies of known apps may take longer (`allowSlowBody`); Node has one time for all requests, so it is off.
 */
const slowness = { headersTimeout: 2_000, requestTimeout: 0, connectionsCheckingInterval: 500 };
const bodyWithinMs = 4_500;

/**
 * Ends a connection whose answer is not read, after twice this time at most (measured). Longer than the longest
 * `Prefer: wait`, during which nothing is sent.
 */
const silenceMs = 40_000;

const mostHeaders = 100;

/** Pipelined requests that one connection may have waiting, and bytes of memory that their headers may take, about. */
const mostPipelined = { requests: 100, bytes: 128 * 1_024 };
/** What a name or a value of a header takes beside its characters: a string, and its places in two collections. */
const bytesPerString = 48;

const settings = {
  ...slowness,
  /** Longer than load balancers keep an idle connection (60 s): they would send a request on one that is being closed. */
  keepAliveTimeout: 65_000,
  /** Limit of all header lines and the request line together. */
  maxHeaderSize: 16 * 1_024,
  /** Bytes of a body that are buffered. In one-byte chunks, each takes about 400 bytes of memory. */
  highWaterMark: 4 * 1_024,
  // Checked below: Node would answer without a problem document.
  requireHostHeader: false,
  insecureHTTPParser: false,
};

/**
 * The HTTP server in front of an app; it does not listen yet. Holds every limit on what a client may use, and answers with
 * problem documents what never reaches the app: unparsable bytes, requests that HTTP/1.1 forbids, tunnels, unmet
 * expectations, late requests. An upgrade request is answered as one without an upgrade (RFC 9110 §7.8).
 */
export function createHttpServer(app: RequestListener): Server {
  const serveInOrder = createPipelining();
  const serve: RequestListener = (req, res) => {
    beginBodyDeadline(res, bodyWithinMs, () => {
      noteLate(res);
      answerUnreadable(lateBody, req.socket);
    });
    const target = originForm(req.url);
    const refusal = refusalOf(req);
    if (refusal) return answerRefused(res, refusal);
    if (target === null) return answerRefused(res, unreadable('The target of the request cannot be read.'));
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
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') readOnceMore(error, socket as Socket);
    else answerUnreadable(error, socket);
  });
  server.timeout = silenceMs;
  // Node would silently drop the headers beyond its own limit, an Authorization header for example.
  server.maxHeadersCount = 0;
  return server;
}

/**
 * Serves the requests of a connection one after the other. One that is rejected anyway keeps no headers while it waits, and
 * ends the connection in its turn. Node gives a pipelined response its socket when its turn comes,
 * and never emits `close` before that, so code that waits for the end of the request would wait for ever.
 */
function createPipelining() {
  const waiting = new WeakMap<Socket, { requests: number; bytes: number }>();
  return (res: ServerResponse, serve: () => void): void => {
    if (res.socket) {
      serve();
      return;
    }
    const { req } = res;
    const { socket } = req;
    const refusal = refusalOf(req);
    if (refusal) endInTurn(socket, answers.get(socket)?.previous, () => refusal);
    // Node keeps a request until the answers before it are sent.
    if (closing.has(socket)) Object.assign(req, { rawHeaders: [], headers: {} });
    const bytes = headerBytes(req);
    const all = waiting.get(socket) ?? { requests: 0, bytes: 0 };
    waiting.set(socket, all);
    all.requests += 1;
    all.bytes += bytes;
    if (all.requests > mostPipelined.requests || all.bytes > mostPipelined.bytes) {
      socket.destroy();
      return;
    }
    if (closing.has(socket)) return;
    res.once('socket', () => {
      all.requests -= 1;
      all.bytes -= bytes;
      // In a later turn of the event loop, so that other connections have theirs.
      setImmediate(() => {
        if (socket.writable) serve();
      });
    });
  };
}

function headerBytes({ url = '', rawHeaders }: IncomingMessage): number {
  return rawHeaders.reduce((sum, text) => sum + text.length + bytesPerString, url.length);
}

/** As Node says it of headers that come too late. */
const lateBody = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });

/** Why a parsed request is not for the app, or null. */
function refusalOf({ httpVersion, rawHeaders }: IncomingMessage): ApiProblem | null {
  if (rawHeaders.length / 2 > mostHeaders) return new ApiProblem('headers_too_large');
  // Node also accepts HTTP/0.9 and 2.0 in this form.
  if (!/^1\.[01]$/.test(httpVersion)) return unreadable('This server supports HTTP/1.1 and HTTP/1.0 only.');
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
  const missing = hosts === 0 && httpVersion === '1.1';
  return missing || hosts > 1 ? unreadable('A request has exactly one Host header (RFC 9112 §3.2).') : null;
}

/**
 * The path and query of a request target, also of an absolute one (RFC 9112 §3.2.2). Null for an unreadable one, which
 * Express would answer with a page of its own.
 */
function originForm(target = ''): string | null {
  if (target.startsWith('/')) return target;
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return null;
  const { pathname, search } = new URL(target);
  return pathname + search;
}

/** Problems for the errors of Node's parser. */
const codes: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** How long a client may take to read a last answer; closing at once could discard it unread. */
const lingerMs = 1_000;

/** The two newest answers of each connection; earlier ones are complete. */
const answers = new WeakMap<Duplex, { previous: ServerResponse | undefined; latest: ServerResponse }>();
const closing = new WeakSet<Duplex>();

/** Registers each answer that begins, so that none is written into the middle of another. */
function noteAnswer(res: ServerResponse): void {
  // A pipelined answer has no socket of its own before its turn comes.
  const { socket } = res.req;
  answers.set(socket, { previous: answers.get(socket)?.latest, latest: res });
}

/**
 * A pause of the process (garbage collection, a busy CPU) does not count as slowness of the client: Node checks deadlines
 * before it reads sockets. Where bytes had arrived, the client has its time once more (ADR 33).
 */
function readOnceMore(error: NodeJS.ErrnoException, socket: Socket): void {
  const { bytesRead } = socket;
  const before = answers.get(socket)?.latest;
  setImmediate(() => {
    if (socket.bytesRead === bytesRead) return answerUnreadable(error, socket);
    startTimeout(slowness.headersTimeout, () => {
      if (!socket.destroyed && answers.get(socket)?.latest === before) answerUnreadable(error, socket);
    });
  });
}

/**
 * Answers bytes that never became a request, for the server's `clientError` event: Node by itself would answer without a
 * problem document. Earlier requests of the connection are answered first.
 */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const code = codes[error.code ?? ''];
  const problem = code ? new ApiProblem(code) : unreadable('The bytes are not a readable HTTP request.');
  const { previous, latest } = answers.get(socket) ?? {};
  const inBody = latest !== undefined && !latest.req.complete;
  // A request whose body breaks off gets this problem as well, unless its answer has begun.
  if (inBody) endInTurn(socket, previous, () => (latest.headersSent ? null : problem));
  else endInTurn(socket, latest, () => problem);
}

/** Answers a connection that asks for a tunnel (CONNECT), and closes it. */
function answerTunnel(socket: Duplex): void {
  // Node no longer handles errors of this connection.
  socket.on('error', () => socket.destroy());
  const problem = new ApiProblem('method_not_allowed', {
    detail: 'This server is not a proxy.',
    headers: { Allow: 'DELETE, GET, HEAD, POST' },
  });
  endInTurn(socket, answers.get(socket)?.latest, () => problem);
}

/** Answers a request without the app, and closes its connection. */
function answerRefused(res: ServerResponse, problem: ApiProblem): void {
  const { status, headers, body } = rawAnswer(problem);
  res.writeHead(status, headers);
  res.end(body);
}

function endInTurn(socket: Duplex, after: ServerResponse | undefined, answer: () => ApiProblem | null): void {
  // Further bytes of this connection are part of the same error.
  if (closing.has(socket)) return;
  closing.add(socket);
  const end = () => {
    const problem = answer();
    if (socket.writable) socket.end(problem ? rawText(problem) : undefined);
    setTimeout(() => socket.destroy(), lingerMs).unref();
  };
  if (after && !after.closed) after.once('close', end);
  else end();
}

function rawText(problem: ApiProblem): string {
  const { status, headers, body } = rawAnswer(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${problems[problem.code].title}`, ...lines, '', body].join('\r\n');
}

function rawAnswer(problem: ApiProblem): { status: number; headers: Record<string, string>; body: string } {
  const body = JSON.stringify(problemDocument(problem));
  const headers = {
    'Content-Type': problemMediaType,
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...problemHeaders(problem),
  };
  return { status: problems[problem.code].status, headers, body };
}
