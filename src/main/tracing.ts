import type { Environment } from '../config/load-config.js';
import { load } from './load.js';
import { packageVersion } from './package-version.js';
import type { Running } from './running.js';

const traced = ['api', 'worker', 'start'];

/** Begins to trace if the environment says so. Nothing that is traced may have been imported before. */
export async function traceIfAsked(role: string, env: Environment): Promise<Running | null> {
  const endpoint = traced.includes(role) ? endpointIn(env) : null;
  if (!endpoint) return null;
  const { startTracing } = await import('../telemetry/tracing.js');
  return startTracing({ ...endpoint, role, version: packageVersion() });
}

/** What is wrong with an environment is said by the command itself. */
function endpointIn(env: Environment): { endpoint: string; ratio: number } | null {
  try {
    const { endpoint, ratio } = load(env, 'start').tracing;
    return endpoint === undefined ? null : { endpoint, ratio };
  } catch {
    return null;
  }
}
