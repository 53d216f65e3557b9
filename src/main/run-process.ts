import { withTimeout } from '../lib/with-timeout.js';
import { createLifecycle, endAtOnceOnSignal, finishOnSignal, type Lifecycle } from './lifecycle.js';
import { load } from './load.js';
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
  finishOnSignal(stop);
  process.on('SIGHUP', () => {
    if (!lifecycle.hangUp()) stop();
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

const starters: Record<ProcessName, (env: Environment, lifecycle: Lifecycle) => Promise<void>> = {
  start: async (env, lifecycle) => {
    const { start } = await import('./start.js');
    await start(env, lifecycle);
  },
  api: async (env, lifecycle) => {
    const config = load(env, 'api');
    const [{ runApi }, { startTelemetry }] = await Promise.all([
      import('./gateway.js'),
      import('./telemetry.js'),
    ]);
    await runApi(config, { ...(await startTelemetry('api', config, lifecycle)), lifecycle });
  },
  worker: async (env, lifecycle) => {
    const config = load(env, 'worker');
    const [{ runWorker }, { startTelemetry }] = await Promise.all([
      import('./gateway.js'),
      import('./telemetry.js'),
    ]);
    await runWorker(config, { ...(await startTelemetry('worker', config, lifecycle)), lifecycle });
  },
  simulate: async (env, lifecycle) => {
    const { runSimulator } = await import('./run-simulator.js');
    await runSimulator(load(env, 'simulate'), lifecycle);
  },
};
