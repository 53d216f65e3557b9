import { createServer, type Server } from 'node:http';
import type { Logger } from 'pino';
import type { Config } from '../config/roles.js';
import { createLogger } from '../telemetry/logger.js';
import { createMetrics, type Metrics } from '../telemetry/metrics.js';
import type { Lifecycle } from './lifecycle.js';
import { listen } from './listen.js';
import { packageVersion } from './package-version.js';

/** The logger and the metrics of one process; `METRICS_PORT` serves them at `/metrics`, without a login. */
export async function startTelemetry(
  role: string,
  { logLevel, metrics: { host, port } }: Pick<Config, 'logLevel' | 'metrics'>,
  lifecycle: Lifecycle,
): Promise<{ logger: Logger; metrics: Metrics }> {
  const logger = createLogger({ level: logLevel, role });
  const metrics = createMetrics(packageVersion());
  if (port !== undefined) {
    const server = metricsServer(metrics);
    const needed = { server: 'the metrics server', advice: 'Set METRICS_PORT to a free one.' };
    const url = await listen(server, { host, port }, needed);
    lifecycle.add({ close: () => close(server) });
    logger.info({ event: 'metrics.started', url: `${url}/metrics` }, 'metrics server started');
  }
  return { logger, metrics };
}

/** Scrapers are few and near: slower clients are dropped. */
const slowness = { headersTimeout: 2_000, requestTimeout: 5_000, connectionsCheckingInterval: 500 };
const silenceMs = 30_000;

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
