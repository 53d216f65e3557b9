import { isatty } from 'node:tty';
import type { Environment } from '../config/load-config.js';
import { withTimeout } from '../lib/with-timeout.js';
import { type Closable, createLifecycle, type Lifecycle } from './lifecycle.js';
import { portTaken } from './listen.js';
import { load } from './load.js';
import { packageVersion } from './package-version.js';

/** A command that runs until a signal ends it. */
type ProcessName = 'start' | 'api' | 'worker' | 'simulate';

const signals = ['SIGTERM', 'SIGINT'] as const;
const endAtOnce = () => process.exit(0);

/** Time to close the remaining parts of a process that failed, in ms. */
const failWithinMs = 5_000;

/**
 * Starts a process; resolves once it runs. The first signal, also during the start, lets running work finish; a second
 * one ends the process at once.
 */
export async function runProcess(name: ProcessName, env: Environment): Promise<void> {
  // There is nothing to finish before the process has begun.
  for (const signal of signals) process.on(signal, endAtOnce);
  // Tracing must start before the traced modules are imported.
  const tracing = await traceIfAsked(name, env);
  let stopping = false;
  const lifecycle = createLifecycle(() => {
    stopping = true;
    withTimeout(lifecycle.close(), failWithinMs).then(exitFailed, exitFailed);
  });
  if (tracing) lifecycle.add(tracing);
  const stop = () => {
    if (stopping) process.exit(1);
    stopping = true;
    lifecycle.close().then(
      () => process.exit(0),
      (error) => {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        exitFailed();
      },
    );
  };
  // In this order: without a listener, Node would drop a signal that came while modules were loaded.
  for (const signal of signals) process.on(signal, stop).off(signal, endAtOnce);
  // Asked beforehand: a terminal that has closed is none.
  const isOnTerminal = [0, 1, 2].some((fd) => isatty(fd));
  process.on('SIGHUP', () => {
    // A terminal that closes ends the process; a service manager asks it to reload, where there may be nothing to.
    if (!lifecycle.hangUp() && isOnTerminal) stop();
  });
  try {
    await starters[name](env, lifecycle);
  } catch (error) {
    if (stopping) return;
    await lifecycle.close().catch(() => {});
    throw error;
  }
}

const exitFailed = () => process.exit(1);

type Starter = (env: Environment, lifecycle: Lifecycle) => Promise<void>;

const starters: Record<ProcessName, Starter> = {
  start: async (env, lifecycle) => await (await import('./start.js')).start(env, lifecycle),
  api: startPart('api'),
  worker: startPart('worker'),
  simulate: startSimulatorAlone,
};

function startPart(name: 'api' | 'worker'): Starter {
  return async (env, lifecycle) => {
    const config = load(env, name);
    const { runApi, runWorker } = await import('./gateway.js');
    const { startTelemetry } = await import('./telemetry.js');
    const host = { ...(await startTelemetry(name, config, lifecycle)), lifecycle };
    await (name === 'api' ? runApi(config, host) : runWorker(config, host));
  };
}

/** The iSMS simulator on `HOST` and `PORT`; it checks the account's credentials when they are set. */
async function startSimulatorAlone(env: Environment, lifecycle: Lifecycle): Promise<void> {
  const { http, account, logLevel } = load(env, 'simulate');
  const { startSimulator } = await import('isms-2fa-simulator');
  const { createLogger } = await import('../telemetry/logger.js');
  const logger = createLogger({ level: logLevel, role: 'simulate' });
  const credentials = account && { username: account.username, password: account.password.reveal() };
  const { host, port } = http;
  const simulator = await startSimulator({ host, port, logger, ...credentials }).catch((error: unknown) => {
    throw portTaken(error, 'the iSMS simulator', 'Set PORT to a free one.') ?? error;
  });
  lifecycle.add(simulator);
  const { url, endpoint } = simulator;
  logger.info({ event: 'simulator.started', url, endpoint }, 'simulator started');
}

/** Starts tracing if `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Modules that are traced must be imported afterwards. */
async function traceIfAsked(role: ProcessName, env: Environment): Promise<Closable | null> {
  const endpoint = role !== 'simulate' ? endpointIn(env) : null;
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
