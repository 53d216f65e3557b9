import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiProblem, problemDocument, problemMediaType } from './problem.js';
import { type ProblemCode, problems } from './problems.js';

/** Why Node could not make a request out of what came, as a line of the problem table. */
const codes: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/**
 * Answers bytes that never became a request, for a server's `clientError` event: the app is not asked then, and
 * Node by itself would answer without a problem document.
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = codes[error.code ?? ''];
  const problem = code
    ? new ApiProblem(code)
    : new ApiProblem('invalid_request', { detail: 'This is no HTTP request that can be read.' });
  const { status, title } = problems[problem.code];
  const body = JSON.stringify(problemDocument(problem));
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    `Content-Type: ${problemMediaType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Whether Express can read a request's target; it would answer one that it cannot with a page of its own. */
export function isRoutable(target: string | undefined): boolean {
  return target !== undefined && (target.startsWith('/') || URL.canParse(target));
}

/** Answers a request whose target cannot be read. */
export function answerUnroutable(res: ServerResponse): void {
  const problem = new ApiProblem('invalid_request', { detail: 'The target of the request cannot be read.' });
  res.writeHead(problems[problem.code].status, { 'Content-Type': problemMediaType });
  res.end(JSON.stringify(problemDocument(problem)));
}
