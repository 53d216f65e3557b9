import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { inboxScript, inboxStyle } from './inbox-assets.js';
import { renderInbox } from './inbox-page.js';
import type { Sms } from './outbox.js';
import { parseForm, parseUpdate } from './settings.js';
import type { Simulation } from './simulation.js';
import type { SimulatorState } from './state.js';

interface Reply {
  status: number;
  headers?: Record<string, string>;
  /** Sent as it is if it is text, otherwise as JSON. */
  body?: string | object;
}

interface Request {
  query: URLSearchParams;
  host: string;
  headers: IncomingMessage['headers'];
  /** Rejects with a BadRequest when the body is too long. */
  body(): Promise<string>;
}

type Route = (request: Request) => Reply | Promise<Reply>;

/** Ends a request with this reply. */
class BadRequest extends Error {
  constructor(readonly reply: Reply) {
    super('bad request');
  }
}

const mostListed = 1_000;
const longestBody = 16_384;

const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  // A form that this page posts must name its origin.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
};

const notFound: Reply = { status: 404, body: { error: 'There is nothing at this address' } };
const unreadable: Reply = { status: 400, body: { error: 'The request could not be read' } };
const notJson = 'Send a JSON object, with content-type: application/json';

/** Serves the pages and the JSON endpoints of the simulator: everything but the provider's endpoint. */
export function createRoutes(simulation: Simulation, state: SimulatorState): RequestListener {
  const routes: Record<string, Route> = {
    'GET /': ({ query, host }) => page(renderInbox(simulation, state, { ...viewOf(query), host })),
    'GET /inbox.css': () => asset('text/css', inboxStyle),
    'GET /inbox.js': () => asset('text/javascript', inboxScript),
    'GET /inbox.json': ({ query }) => {
      const { mobile, limit } = viewOf(query);
      return { status: 200, body: { messages: state.inbox({ mobile, limit }).map(publish) } };
    },
    'DELETE /inbox': () => {
      state.clearInbox();
      return { status: 204 };
    },
    'GET /stats.json': ({ query }) => {
      const mobile = only(query, 'mobile');
      const stats = state.stats();
      return { status: 200, body: mobile === undefined ? stats : { ...stats, number: state.number(mobile) } };
    },
    'DELETE /stats.json': () => {
      state.clearStats();
      return { status: 204 };
    },
    'GET /settings': () => ({ status: 200, body: state.settings }),
    'POST /settings': async (request) =>
      isForm(request) ? await saveForm(simulation, state, request) : await saveJson(state, request),
  };
  return (req, res) => {
    answer(routes, req).then(
      (reply) => send(res, reply),
      (error: unknown) =>
        send(
          res,
          error instanceof BadRequest
            ? error.reply
            : { status: 500, body: { error: 'The simulator failed' } },
        ),
    );
  };
}

async function answer(routes: Record<string, Route>, req: IncomingMessage): Promise<Reply> {
  const { method, url = '', headers } = req;
  const [path = '', query] = url.split(/\?(.*)/s);
  const name = `${method === 'HEAD' ? 'GET' : method} ${path}`;
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (!route) return notFound;
  const host = headers.host ?? 'localhost';
  return await route({ query: new URLSearchParams(query), host, headers, body: () => bodyOf(req) });
}

function send(res: ServerResponse, { status, headers, body }: Reply): void {
  const json = typeof body === 'object';
  res.writeHead(status, {
    ...securityHeaders,
    ...(json && { 'content-type': 'application/json; charset=utf-8' }),
    ...headers,
  });
  res.end(json ? JSON.stringify(body) : body);
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  // The reply still needs the connection.
  for await (const chunk of req.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > longestBody) throw new BadRequest({ ...unreadable, status: 413 });
  }
  return Buffer.concat(chunks).toString();
}

async function saveJson(state: SimulatorState, { headers, body }: Request): Promise<Reply> {
  const isJson = /^application\/json\b/i.test(headers['content-type'] ?? '');
  const parsed = isJson ? parseUpdate(jsonOf(await body())) : { problems: [notJson] };
  if ('problems' in parsed) {
    return { status: 400, body: { error: 'No setting was changed', problems: parsed.problems } };
  }
  state.change(parsed.update);
  return { status: 200, body: state.settings };
}

/** A form of the inbox page; forms of other sites are refused. */
async function saveForm(
  simulation: Simulation,
  state: SimulatorState,
  { headers: { origin }, host, body }: Request,
): Promise<Reply> {
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    return { status: 403, body: { error: 'Forms are accepted only from the inbox page' } };
  }
  const parsed = parseForm(new URLSearchParams(await body()));
  if ('problems' in parsed) {
    const { problems } = parsed;
    return page(renderInbox(simulation, state, { host, refresh: 'off', problems }), 400);
  }
  state.change(parsed.update);
  return { status: 303, headers: { location: '/#settings' } };
}

function isForm({ headers }: Request): boolean {
  return /^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BadRequest(unreadable);
  }
}

function viewOf(query: URLSearchParams) {
  const [mobile, limit, refresh] = [only(query, 'mobile'), only(query, 'limit'), only(query, 'refresh')];
  if (
    limit !== undefined &&
    !(/^\d{1,4}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= mostListed)
  ) {
    throw wrongQuery(`limit must be a whole number from 1 to ${mostListed}`);
  }
  if (refresh !== undefined && refresh !== 'on' && refresh !== 'off') {
    throw wrongQuery('refresh must be on or off');
  }
  return { mobile, limit: limit === undefined ? undefined : Number(limit), refresh } as const;
}

/** The value of a parameter that may be given once. */
function only(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  if (values.length > 1) throw wrongQuery(`${name} must be given once`);
  return values[0];
}

function wrongQuery(problem: string): BadRequest {
  return new BadRequest({ status: 400, body: { error: 'The query is wrong', problems: [problem] } });
}

function page(html: string, status = 200): Reply {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: html };
}

function asset(type: string, body: string): Reply {
  return { status: 200, headers: { 'content-type': `${type}; charset=utf-8` }, body };
}

function publish({ previousSmsId: _, smsId, sentAt, ...sms }: Sms) {
  return { smsId: String(smsId), ...sms, sentAt: new Date(sentAt).toISOString() };
}
