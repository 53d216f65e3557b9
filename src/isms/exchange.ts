import { type Dispatcher, errors, Pool } from 'undici';
import type { UnknownReason, UnsentReason } from '../otp/outcome.js';
import type { CallWindow } from '../otp/provider.js';
import type { HostOrder } from './host-order.js';

/**
 * Result of one GET. `unsent`: proven not to have left, or turned away unprocessed. `lost`: it left and
 * nothing usable came back. `reply`: a whole body came back; `ok` is true for a 2xx status.
 */
export type Exchange =
  | { kind: 'unsent'; reason: UnsentReason }
  | { kind: 'lost'; reason: UnknownReason }
  | { kind: 'reply'; ok: boolean; text: string };

/** The window of a call to one of several hosts: what has not left by `connectBy` (`performance.now()`) does not leave. */
type HostWindow = CallWindow & { connectBy?: number };

/**
 * Puts at most one GET on the wire and waits for the whole reply, until `window.endBy`. Never rejects: errors
 * of the HTTP client hold URLs and sockets, so they end here. `dispatch` is what undici's own `request` is made of,
 * without the streams that a reply of 64 KiB does not need.
 */
async function exchange(dispatcher: Dispatcher, path: string, window: HostWindow): Promise<Exchange> {
  return await new Promise((resolve) => {
    const guard = createDispatchGuard(window.leaveBy);
    const call = createCall(guard, (result) => {
      clearTimeout(timer);
      clearTimeout(connectTimer);
      resolve(result);
    });
    // undici cannot abort a request that still queues for a connection, so its guard is shut.
    const end = () => call.end({ kind: 'lost', reason: 'timeout' });
    const { endBy, connectBy } = window;
    const timer = setTimeout(end, endBy - performance.now());
    const connectTimer =
      connectBy === undefined
        ? undefined
        : setTimeout(() => guard.left || end(), connectBy - performance.now());
    dispatcher.dispatch({ path, method: 'GET' }, call.handler);
  });
}

/** Drops a byte order mark, as JSON's own parser does not. */
const utf8 = new TextDecoder();

/** One request in undici's hands. */
function createCall(guard: DispatchGuard, onEnd: (exchange: Exchange) => void) {
  const chunks: Buffer[] = [];
  let status = 0;
  let wire: Dispatcher.DispatchController | null = null;
  let open = true;
  const settle = (exchange: Exchange) => {
    if (!open) return;
    open = false;
    onEnd(exchange);
  };
  /** Ends it with `lost` if it has left, else as unsent. Drops its connection if the reply is not read to its end. */
  const end = (lost: Exchange) => {
    guard.shut();
    settle(guard.left ? lost : { kind: 'unsent', reason: guard.unsentReason });
    wire?.abort(new Error('The call is over.'));
  };
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: (controller) => {
      guard.pass();
      wire = controller;
    },
    onResponseStart: (_controller, statusCode) => {
      status = statusCode;
      const judged = judgeStatus(statusCode);
      if (judged) {
        settle(judged);
        wire?.abort(new Error('The status says it all.'));
      }
    },
    onResponseData: (_controller, chunk) => void chunks.push(chunk),
    onResponseEnd: () => {
      wire = null;
      settle({ kind: 'reply', ok: status < 300, text: utf8.decode(Buffer.concat(chunks)) });
    },
    onResponseError: (_controller, error) => {
      wire = null;
      end({ kind: 'lost', reason: lostReason(error) });
    },
  };
  return { handler, end };
}

/** The statuses that decide by themselves; null where the body has to. */
export function judgeStatus(status: number): Exchange | null {
  if (status === 429) return { kind: 'unsent', reason: 'too_many_requests' };
  if (status >= 500) return { kind: 'lost', reason: 'server_error' };
  if (status >= 300 && status < 400) return { kind: 'lost', reason: 'redirect' };
  return null;
}

function lostReason(error: unknown): UnknownReason {
  if (error instanceof errors.ResponseExceededMaxSizeError) return 'reply_too_large';
  if (error instanceof errors.HeadersOverflowError) return 'reply_too_large';
  const cutOff = 'HPE_INVALID_EOF_STATE';
  if (error instanceof errors.HTTPParserError && error.code !== cutOff) return 'reply_wrong_shape';
  return 'connection_lost';
}

type DispatchGuard = ReturnType<typeof createDispatchGuard>;

/** Knows of one call whether its request left this machine, and keeps it from leaving after `leaveBy` or twice. */
export function createDispatchGuard(leaveBy: CallWindow['leaveBy']) {
  let state: 'waiting' | 'left' | 'shut' = 'waiting';
  let stale = false;

  return {
    /** True from the moment right before the first byte is handed to a connected socket; never false again. */
    get left() {
      return state === 'left';
    },
    /** Why the request did not leave; only meaningful while `left` is false. */
    get unsentReason(): UnsentReason {
      return stale ? 'stale_claim' : 'not_connected';
    },
    /** From now on nothing leaves. What has left before is not called back. */
    shut() {
      if (state === 'waiting') state = 'shut';
    },
    /**
     * Lets the request leave, once; to be called in the same tick as it is written. Throws where it may not, instead of
     * aborting: an abort would destroy the fresh connection, which the next call can use.
     */
    pass() {
      if (state === 'waiting' && isPast(leaveBy)) {
        stale = true;
        state = 'shut';
      }
      if (state !== 'waiting') throw new Error('The request may not leave.');
      state = 'left';
    },
  };
}

export const maxReplyBytes = 64 * 1024;

/**
 * A server that closes an idle connection just as a request goes out leaves an unknown outcome, and
 * a new TLS handshake is cheaper than that. So idle sockets are closed before any usual server would do it
 * (Apache: 5 s), and a `Keep-Alive` hint of the server can only shorten this.
 */
const keepAlive = { keepAliveTimeout: 2_000, keepAliveMaxTimeout: 2_000, keepAliveTimeoutThreshold: 1_000 };

interface ConnectionPoolOptions {
  /** Addresses of the endpoint, in order of preference, each of another host. */
  urls: readonly URL[];
  /** Query parameters of every call: the account's. */
  common: Record<string, string>;
  /** To each host. */
  connections: number;
  /** For DNS, TCP and TLS together. */
  connectTimeoutMs: number;
  /** Of the hosts by origin; used where there are several. */
  hostOrder: HostOrder;
}

/** Connections to the provider for one kind of calls, so that kinds cannot take them from one another. */
export interface ConnectionPool {
  /** Makes one call with these query parameters; never rejects. After `close` it makes none. */
  call(parameters: Record<string, string>, window: CallWindow): Promise<Exchange>;
  /** Waits for the calls under way, then ends every connection. */
  close(): Promise<void>;
}

/** Creates a pool for each host, which connects on the first call. */
export function createConnectionPool(options: ConnectionPoolOptions): ConnectionPool {
  const hosts = options.urls.map((url) => openHost(url, options));
  const [first] = hosts;
  const makeCall = first && hosts.length === 1 ? first.call : createFailover(hosts, options.hostOrder);
  const underWay = new Set<Promise<Exchange>>();
  let closed: Promise<void> | null = null;

  const finish = async () => {
    await Promise.all(underWay);
    await Promise.all(hosts.map(({ pool }) => pool.destroy()));
  };

  return {
    async call(parameters, window) {
      if (closed) return { kind: 'unsent', reason: 'not_connected' };
      const running = makeCall(String(new URLSearchParams(parameters)), window);
      underWay.add(running);
      return running.finally(() => underWay.delete(running));
    },
    close() {
      closed ??= finish();
      return closed;
    },
  };
}

/** One host of the provider. */
type Host = ReturnType<typeof openHost>;

function openHost(url: URL, options: ConnectionPoolOptions) {
  const pool = openPool(url, options);
  const begin = beginningOf(url, options);
  const call = (query: string, window: HostWindow) => exchange(pool, `${begin}${query}`, window);
  return { origin: url.origin, pool, call };
}

/**
 * Tries hosts one after another while the request has not left, within the window of the call. Each but the last gets an
 * equal share of the time in which the request may leave: one that takes long to connect must not use up the claim.
 */
function createFailover(hosts: readonly Host[], order: HostOrder) {
  for (const { pool, origin } of hosts) {
    pool.on('connect', () => order.connected(origin)).on('connectionError', () => order.failed(origin));
  }
  const calls = new Map(hosts.map(({ origin, call }) => [origin, call]));
  return async (query: string, window: CallWindow): Promise<Exchange> => {
    const tried = order.next().flatMap((origin) => calls.get(origin) ?? []);
    for (const [index, call] of tried.entries()) {
      if (isPast(window.leaveBy)) return { kind: 'unsent', reason: 'stale_claim' };
      const left = tried.length - index;
      const result = await call(query, left === 1 ? window : shareOf(window, left));
      if (result.kind !== 'unsent' || result.reason !== 'not_connected') return result;
    }
    return { kind: 'unsent', reason: 'not_connected' };
  };
}

function shareOf(window: CallWindow, hosts: number): HostWindow {
  const now = performance.now();
  const until = Math.min(window.leaveBy.monotonic, window.endBy);
  return { ...window, connectBy: now + (until - now) / hosts };
}

/** The time-outs of undici are off where the window of a call rules: for headers and body. */
function openPool(url: URL, { connections, connectTimeoutMs }: ConnectionPoolOptions): Pool {
  return new Pool(url.origin, {
    ...keepAlive,
    connections,
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: maxReplyBytes,
    connect: { timeout: connectTimeoutMs, rejectUnauthorized: true },
  });
}

/** What the path of every call begins with. Parameters of the endpoint itself are kept. */
function beginningOf(url: URL, { common }: ConnectionPoolOptions): string {
  const whole = new URL(url);
  for (const [name, value] of Object.entries(common)) whole.searchParams.set(name, value);
  return `${whole.pathname}${whole.search}&`;
}

/** True if either clock says so: the monotonic clock stops while a machine is suspended. */
function isPast({ monotonic, wall }: CallWindow['leaveBy']): boolean {
  return performance.now() > monotonic || Date.now() > wall;
}
