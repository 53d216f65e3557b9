import { withTimeout } from '../lib/with-timeout.js';
import { load } from './load.js';
import { createParts, type Parts } from './running.js';
import { endAtOnceOnSignal, finishOnSignal } from './signals.js';
import { traceIfAsked } from './tracing.js';

/** A command that runs until a signal ends it. */
export type ProcessName = 'start' | 'api' | 'worker' | 'simulate';

type Environment = Readonly<Record<string, string | undefined>>;

/** Time to close the remaining parts of a process that failed, in ms. */
const failWithinMs = 5_000;

/**
 * Starts a process; resolves once it runs. The first signal, also during the start, lets running work finish; a second
 * one ends the process at once.
 */
export async function runProcess(name: ProcessName, env: Environment): Promise<void> {
  endAtOnceOnSignal();
  // Tracing must start before the traced modules are imported.
  const tracing = await traceIfAsked(name, env);
  let stopping = false;
  const parts = createParts(() => {
    stopping = true;
    withTimeout(parts.close(), failWithinMs).then(exitFailed, exitFailed);
  });
  if (tracing) parts.add(tracing);
  const stop = () => {
    if (stopping) process.exit(1);
    stopping = true;
    parts.close().then(
      () => process.exit(0),
      (error) => {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        exitFailed();
      },
    );
  };
  finishOnSignal(stop);
  process.on('SIGHUP', () => {
    if (!parts.hangUp()) stop();
  });
  try {
    await starters[name](env, parts);
  } catch (error) {
    if (stopping) return;
    await parts.close().catch(() => {});
    throw error;
  }
}

const exitFailed = () => process.exit(1);

const starters: Record<ProcessName, (env: Environment, parts: Parts) => Promise<void>> = {
  start: async (env, parts) => {
    const { start } = await import('./processes.js');
    await start(env, parts);
  },
  api: async (env, parts) => {
    const config = load(env, 'api');
    const { runApi, startTelemetry } = await import('./processes.js');
    await runApi(config, await startTelemetry('api', config, parts), parts);
  },
  worker: async (env, parts) => {
    const config = load(env, 'worker');
    const { runWorker, startTelemetry } = await import('./processes.js');
    await runWorker(config, await startTelemetry('worker', config, parts), parts);
  },
  simulate: async (env, parts) => {
    const config = load(env, 'simulate');
    const { createLogger, runSimulator } = await import('./processes.js');
    await runSimulator(config, createLogger({ level: config.logLevel, role: 'simulate' }), parts);
  },
};
