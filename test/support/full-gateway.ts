import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Simulator, startSimulator } from 'isms-2fa-simulator';
import { afterFile } from './clean-up.js';
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

/** An APPS_FILE in which the app `shop` has a template called pay, with the variables `payee` and `sum`. */
export function appsFileWithVariables(): string {
  const folder = mkdtempSync(join(tmpdir(), 'isms-otp-apps-'));
  afterFile(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'apps.json');
  const pay = {
    en: 'RM{sum} to {payee}: %OTP%',
    variables: { payee: { type: 'text', maxLength: 20 }, sum: { type: 'amount', maxLength: 9 } },
  };
  const digest = createHash('sha256').update(fullGatewayKey).digest('hex');
  const shop = { keys: [`sha256:${digest}`], templates: { pay } };
  writeFileSync(file, JSON.stringify({ apps: { shop } }));
  return file;
}
