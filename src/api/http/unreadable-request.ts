import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiProblem, problemDocument, problemHeaders, problemMediaType } from './problem.js';
import { type ProblemCode, problems } from './problems.js';

/** Why Node could not make a request out of what came, as a line of the problem table. */
const codes: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** How long a client may take to read a last answer; to close at once could take it away unread. */
const lingerMs = 1_000;

/** The two newest answers of each connection; those before them are out. */
const answers = new WeakMap<Duplex, { previous: ServerResponse | undefined; latest: ServerResponse }>();
const closing = new WeakSet<Duplex>();

/** Has to be told of every answer that begins, so that none is written into the middle of another. */
export function noteAnswer(res: ServerResponse): void {
  // A pipelined answer has no socket of its own before its turn comes.
  const { socket } = res.req;
  answers.set(socket, { previous: answers.get(socket)?.latest, latest: res });
}

/**
 * Answers bytes that never became a request, for a server's `clientError` event: the app is not asked then, and
 * Node by itself would answer without a problem document. What was asked before on the same connection is
 * answered first.
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const code = codes[error.code ?? ''];
  const detail = 'This is no HTTP request that can be read.';
  const problem = code ? new ApiProblem(code) : new ApiProblem('invalid_request', { detail });
  const { previous, latest } = answers.get(socket) ?? {};
  const inBody = latest !== undefined && !latest.req.complete;
  // A request whose body breaks off is answered like other bad bytes, unless its answer has begun already.
  if (inBody) endInTurn(socket, previous, () => (latest.headersSent ? null : problem));
  else endInTurn(socket, latest, () => problem);
}

/** Answers a connection that asks for a tunnel (CONNECT), and closes it. */
export function answerTunnel(socket: Duplex): void {
  // Node has let go of the connection, and of what may go wrong on it.
  socket.on('error', () => socket.destroy());
  const problem = new ApiProblem('method_not_allowed', {
    detail: 'This is no proxy.',
    headers: { Allow: 'DELETE, GET, HEAD, POST' },
  });
  endInTurn(socket, answers.get(socket)?.latest, () => problem);
}

/** Answers a request that the app is not asked about, and closes its connection. */
export function answerRefused(res: ServerResponse, problem: ApiProblem): void {
  const { status, headers, body } = rawAnswer(problem);
  res.writeHead(status, headers);
  res.end(body);
}

function endInTurn(socket: Duplex, after: ServerResponse | undefined, answer: () => ApiProblem | null): void {
  // Whatever else comes on this connection is the same trouble.
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
