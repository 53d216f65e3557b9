import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { endpointPath, serveProvider } from './provider-endpoint.js';
import { createRoutes } from './routes.js';
import { createSimulation, type SimulatorOptions } from './simulation.js';
import { createState, type SimulatorState } from './state.js';

/** Options of `startSimulator`. */
export interface StartOptions extends SimulatorOptions {
  /** Address to listen on. Default: 127.0.0.1. */
  host?: string;
  /** Port to listen on. Default: 0, a free one. */
  port?: number;
}

/** A running simulator. */
export interface Simulator {
  /** Address of the inbox page, such as `http://127.0.0.1:3001`. */
  url: string;
  /** Address of the simulated API, to give the app in place of that of iSMS. */
  endpoint: string;
  /** Its messages, counts and settings. */
  state: SimulatorState;
  /** Returns the code of the newest SMS to a number, in any notation; undefined before the first. */
  lastCode(mobile: string): string | undefined;
  /** Stops and drops every connection; may be called twice. */
  close(): Promise<void>;
}

/** Longer than the idle time of common clients and proxies, so that they close first. */
const keepAliveMs = 65_000;

/** Creates a request handler for an HTTP server; throws a RangeError for invalid settings. */
export function createSimulator(options: SimulatorOptions = {}): {
  app: RequestListener;
  state: SimulatorState;
} {
  const simulation = createSimulation(options);
  const state = createState(simulation);
  const routes = createRoutes(simulation, state);
  const app: RequestListener = (req, res) => {
    if (!serveProvider(simulation, req, res)) routes(req, res);
  };
  return { app, state };
}

/** Starts a simulator; rejects if it cannot listen, or with a RangeError for invalid settings. */
export async function startSimulator(options: StartOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', port = 0, ...rest } = options;
  const { app, state } = createSimulator(rest);
  const server = createServer({ keepAliveTimeout: keepAliveMs }, app);
  const url = await listen(server, { host, port });
  return {
    ...{ url, endpoint: url + endpointPath, state },
    lastCode: (mobile) => state.inbox({ mobile, limit: 1 })[0]?.code,
    close: () => close(server),
  };
}

async function listen(server: Server, at: { host: string; port: number }): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return `http://${reachable(at.host)}:${port}`;
}

function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
