import type { Environment } from '../config/load-config.js';
import type { Closable } from './lifecycle.js';
import { load } from './load.js';
import { packageVersion } from './package-version.js';

const traced = ['api', 'worker', 'start'];

/** Starts tracing if `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Modules that are traced must be imported afterwards. */
export async function traceIfAsked(role: string, env: Environment): Promise<Closable | null> {
  const endpoint = traced.includes(role) ? endpointIn(env) : null;
  if (!endpoint) return null;
  const { startTracing } = await import('../telemetry/tracing.js');
  return startTracing({ ...endpoint, role, version: packageVersion() });
}

/** Mistakes in the environment are reported by the command itself. */
function endpointIn(env: Environment): { endpoint: string; ratio: number } | null {
  try {
    const { endpoint, ratio } = load(env, 'start').tracing;
    return endpoint === undefined ? null : { endpoint, ratio };
  } catch {
    return null;
  }
}
