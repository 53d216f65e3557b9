import { type Simulator, startSimulator } from 'isms-2fa-simulator';
import { type GatewayProcess, gatewayEnvironment, runCommand, written } from './processes.js';
import { databaseUrl } from './redis.js';

export const fullGatewayKey = 'the-key-of-the-app-called-shop';

/** API and worker as real processes, in front of the simulator, as an app would use them. */
export interface FullGateway {
  url: string;
  /** Of the app `shop`. */
  key: string;
  simulator: Simulator;
  environment: Record<string, string>;
  api: GatewayProcess;
  worker: GatewayProcess;
  /** The code of the newest SMS to a number (E.164). */
  codeOf(to: string): string;
  close(): Promise<void>;
}

/** Runs one on this file's Redis; `settings` in place of the defaults. */
export async function startFullGateway(settings: Record<string, string> = {}): Promise<FullGateway> {
  const simulator = await startSimulator({ username: 'tester', password: 'a-password-for-tests' });
  const environment = {
    ...gatewayEnvironment(databaseUrl(), simulator),
    API_KEYS: `shop:${fullGatewayKey}`,
    PORT: '0',
    LOG_LEVEL: 'info',
    ...settings,
  };
  const [api, worker] = [runCommand('api', environment), runCommand('worker', environment)];
  await Promise.all([written(api, /api\.started/), written(worker, /worker\.started/)]);
  return {
    url: /"url":"([^"]+)"[^\n]*API started/.exec(api.output)?.[1] ?? '',
    key: fullGatewayKey,
    simulator,
    environment,
    api,
    worker,
    codeOf: (to) => simulator.lastCode(to) ?? '',
    close: async () => {
      await Promise.all([api.end('SIGTERM'), worker.end('SIGTERM')]);
      await simulator.close();
    },
  };
}
