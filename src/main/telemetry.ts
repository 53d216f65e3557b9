import type { Logger } from 'pino';
import type { Config } from '../config/commands.js';
import { createLogger } from '../telemetry/logger.js';
import { createMetrics, type Metrics } from '../telemetry/metrics.js';
import { serveMetrics } from './metrics-listener.js';
import { packageVersion } from './package-version.js';
import type { Parts } from './running.js';

/** What a process tells of itself. */
export interface Telemetry {
  logger: Logger;
  metrics: Metrics;
}

/** The log and the metrics of one process, which `METRICS_PORT` serves. */
export async function startTelemetry(
  role: string,
  { logLevel, metrics: at }: Pick<Config, 'logLevel' | 'metrics'>,
  parts: Parts,
): Promise<Telemetry> {
  const logger = createLogger({ level: logLevel, role });
  const metrics = createMetrics(packageVersion());
  const url = await serveMetrics(at, metrics, parts);
  if (url !== null) logger.info({ event: 'metrics.started', url }, 'metrics for scrapers');
  return { logger, metrics };
}
