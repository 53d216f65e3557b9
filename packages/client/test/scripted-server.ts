import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiProblem, problemDocument, problemHeaders } from '../../../src/api/http/problem.js';
import type { ProblemCode } from '../../../src/api/http/problems.js';
import { afterFile } from '../../../test/support/clean-up.js';
import { requestBody } from '../../../test/support/request-body.js';
import { OtpClient, type OtpClientOptions } from '../src/index.js';

export const apiKey = 'key-canary-of-24-characters';

/** One answer; the request's body has been read. */
export type Script = (res: ServerResponse, req: IncomingMessage) => unknown;

export interface SeenRequest {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface ScriptedServer {
  url: string;
  requests: SeenRequest[];
  /** Answers in turn, the last one again and again, and forgets what was seen. */
  plays(...scripts: [Script, ...Script[]]): void;
  client(options?: Partial<OtpClientOptions>): OtpClient;
}

/** A server on a free port that answers what a test says. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  const requests: SeenRequest[] = [];
  let scripts: Script[] = [];
  const server = createServer(async (req, res) => {
    const script = scripts.length > 1 ? scripts.shift() : scripts[0];
    const { method = '', url: path = '', headers } = req;
    const seen = { method, path, headers, body: '' };
    requests.push(seen);
    // A test that answers before the end of the body reads it itself.
    if (script && !early.has(script)) {
      const body = await requestBody(req);
      if (body === null) return;
      seen.body = body;
    }
    script?.(res, req);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterFile(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    requests,
    plays: (...next) => {
      scripts = next;
      requests.length = 0;
    },
    client: (options = {}) => new OtpClient({ baseUrl: url, apiKey, ...options }),
  };
}

const early = new Set<Script>();

/** A script that answers before the body of its request is there. */
export function beforeBody(script: Script): Script {
  early.add(script);
  return script;
}

/** A good answer. */
export const json =
  (status: number, body: unknown): Script =>
  (res) =>
    res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));

/** A problem as the API writes it. */
export const problem =
  (code: ProblemCode, facts: ConstructorParameters<typeof ApiProblem>[1] = {}): Script =>
  (res) => {
    const document = problemDocument(new ApiProblem(code, facts));
    const headers = problemHeaders(new ApiProblem(code, facts));
    res
      .writeHead(document.status, {
        'Content-Type': 'application/problem+json',
        'X-Request-Id': 'req_1',
        ...headers,
      })
      .end(JSON.stringify(document));
  };

/** No answer at all: the connection breaks. */
export const broken: Script = (res) => res.destroy();

/** Never an answer. */
export const silent: Script = () => {};

export const otp = {
  id: 'otp_1',
  status: 'queued',
  to: '+60123456789',
  reference: null,
  purpose: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  sendDeadline: '2026-01-01T00:02:00.000Z',
  sentAt: null,
  expiresAt: null,
  attemptsRemaining: 5,
  uuid: null,
  smsId: null,
  credits: 1,
  failure: null,
};

export const verified = { id: 'otp_1', status: 'verified', verifiedAt: '2026-01-01T00:00:10.000Z' };
