import { createServer, type Server } from 'node:http';
import type { Config } from '../config/commands.js';
import type { Metrics } from '../telemetry/metrics.js';
import { listen } from './listen.js';
import type { Parts } from './running.js';

/** Scrapers are few and near; whoever is slower has gone. */
const slowness = { headersTimeout: 2_000, requestTimeout: 5_000, connectionsCheckingInterval: 500 };
const silenceMs = 30_000;

/** `/metrics` without a login on a listener of its own, if `METRICS_PORT` is set; resolves with its URL. */
export async function serveMetrics(
  { host, port }: Config['metrics'],
  metrics: Pick<Metrics, 'exposition'>,
  parts: Parts,
): Promise<string | null> {
  if (port === undefined) return null;
  const server = metricsServer(metrics);
  const url = await listen(server, { host, port });
  parts.add({ close: () => close(server) });
  return `${url}/metrics`;
}

function metricsServer(metrics: Pick<Metrics, 'exposition'>): Server {
  const server = createServer(slowness, async (req, res) => {
    const found = req.url?.split('?')[0] === '/metrics';
    if (!found || (req.method !== 'GET' && req.method !== 'HEAD')) {
      const [status, text] = found ? [405, 'Only GET and HEAD.\n'] : [404, 'The metrics are at /metrics.\n'];
      res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Allow: 'GET, HEAD' }).end(text);
      return;
    }
    const { contentType, text } = await metrics.exposition();
    res.writeHead(200, { 'Content-Type': contentType, 'Cache-Control': 'no-store' }).end(text);
  });
  server.timeout = silenceMs;
  return server;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
