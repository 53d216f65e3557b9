import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { endpointPath, serveProvider } from './provider-endpoint.js';
import { createRoutes } from './routes.js';
import { createSimulation, type SimulatorOptions } from './simulation.js';
import { createState, type SimulatorState } from './state.js';

/** Where to listen: loopback and a free port unless told otherwise. */
export interface StartOptions extends SimulatorOptions {
  host?: string;
  port?: number;
}

/** A simulator that is listening. */
export interface Simulator {
  /** The inbox page, without a slash at the end: `http://127.0.0.1:4000`. */
  url: string;
  /** What to give an integration in place of the vendor's address. */
  endpoint: string;
  state: SimulatorState;
  /** Stops listening and drops every connection, hanging ones included; may be called twice. */
  close(): Promise<void>;
}

/** Above the idle time of common clients and proxies, so that it is not us who closes under a request. */
const keepAliveMs = 65_000;

/** Makes a simulator to mount in an HTTP server; throws a RangeError when the settings are wrong. */
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

/** Starts a simulator; rejects when the address cannot be listened on. */
export async function startSimulator(options: StartOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', port = 0, ...rest } = options;
  const { app, state } = createSimulator(rest);
  const server = createServer({ keepAliveTimeout: keepAliveMs }, app);
  const url = await listen(server, { host, port });
  return { url, endpoint: url + endpointPath, state, close: () => close(server) };
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
