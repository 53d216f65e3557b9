import { Pool } from 'undici';
import type { SendWindow } from '../otp/provider.js';
import { type Exchange, exchange } from './exchange.js';

const maxReplyBytes = 64 * 1024;

/**
 * A server that closes an idle connection just as a request goes out leaves an unknown outcome, and
 * a new TLS handshake is cheaper than that. So idle sockets are closed before any usual server would do it
 * (Apache: 5 s), and a `Keep-Alive` hint of the server can only shorten this.
 */
const keepAlive = { keepAliveTimeout: 2_000, keepAliveMaxTimeout: 2_000, keepAliveTimeoutThreshold: 1_000 };

interface ConnectionPoolOptions {
  url: URL;
  /** Query parameters of every call: the account's. */
  common: Record<string, string>;
  connections: number;
  /** For DNS, TCP and TLS together. */
  connectTimeoutMs: number;
}

/** Connections to the provider for one kind of calls, so that kinds cannot take them from one another. */
interface ConnectionPool {
  /** Makes one call with these query parameters; never rejects. After `close` it makes none. */
  call(parameters: Record<string, string>, window: SendWindow): Promise<Exchange>;
  /** Waits for the calls under way, then ends every connection. */
  close(): Promise<void>;
}

/** Opens a line; nothing connects before the first call. */
export function createConnectionPool(options: ConnectionPoolOptions): ConnectionPool {
  const pool = openPool(options);
  const begin = beginningOf(options);
  const underWay = new Set<Promise<Exchange>>();
  let closed: Promise<void> | null = null;

  const finish = async () => {
    await Promise.all(underWay);
    await pool.destroy();
  };

  return {
    async call(parameters, window) {
      if (closed) return { kind: 'unsent', reason: 'not_connected' };
      const running = exchange(pool, `${begin}${new URLSearchParams(parameters)}`, window);
      underWay.add(running);
      return running.finally(() => underWay.delete(running));
    },
    close() {
      closed ??= finish();
      return closed;
    },
  };
}

/** The time-outs of undici are off where the window of a call rules: for headers and body. */
function openPool({ url, connections, connectTimeoutMs }: ConnectionPoolOptions): Pool {
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

/** What the path of every call begins with; parameters of the endpoint itself are kept. */
function beginningOf({ url, common }: ConnectionPoolOptions): string {
  const whole = new URL(url);
  for (const [name, value] of Object.entries(common)) whole.searchParams.set(name, value);
  return `${whole.pathname}${whole.search}&`;
}
