import { type ChildProcess, spawn } from 'node:child_process';
import { freePort } from '../../test/support/redis-server.js';
import { until } from './clock.js';
import { kill, killAtExit } from './kill.js';
import type { Stand } from './stand.js';

/** The gateway's processes, as users run them: `node dist/isms-otp.js …`. */
export interface Processes {
  /** Resolves once it is ready. */
  startApi(env?: Record<string, string>): Promise<GatewayApi>;
  /** Resolves once it waits for jobs. */
  startWorker(concurrency?: number): Promise<ChildProcess>;
  /** Several at once. */
  startWorkers(count: number, concurrency: number): Promise<ChildProcess[]>;
}

export interface GatewayApi {
  url: string;
  pid: number;
}

export const app = 'shop';
export const apiKey = 'bench-key-of-24-characters-or-more';

/** Of another app, `bank`. */
export const otherApiKey = 'bank-key-of-24-characters-or-more';

/** Of a request that the API takes. */
export const jsonHeaders = headersOf(apiKey);

/** The same of another app. */
export function headersOf(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
}

/** Each ends with the stand. */
export function createProcesses(stand: Stand, env: Record<string, string>): Processes {
  const run = (command: string, more: Record<string, string>): ChildProcess => {
    const child = spawn(process.execPath, ['dist/isms-otp.js', command], {
      env: { PATH: process.env['PATH'] ?? '', ...env, ...more, LOG_LEVEL: 'info' },
      // Log lines are written and read by nobody.
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    killAtExit(child);
    return stand.add(child, kill);
  };
  const startWorkers = async (count: number, concurrency: number) => {
    const before = await waitingWorkers(stand);
    const settings = { WORKER_CONCURRENCY: String(concurrency) };
    const workers = Array.from({ length: count }, () => run('worker', settings));
    // One of sends, one of batches and one of balances in each process.
    await until('workers wait', 20_000, async () => (await waitingWorkers(stand)) === before + 3 * count);
    return workers;
  };
  return {
    startApi: async (more = {}) => {
      const port = String(await freePort());
      const { pid = 0 } = run('api', {
        ...more,
        API_KEYS: `${app}:${apiKey},bank:${otherApiKey}`,
        PORT: port,
      });
      const url = `http://127.0.0.1:${port}`;
      await until('the API is ready', 20_000, () => isReady(url));
      return { url, pid };
    },
    startWorkers,
    startWorker: async (concurrency = 50) => {
      const [worker] = await startWorkers(1, concurrency);
      if (!worker) throw new Error('no worker was started');
      return worker;
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  return (await fetch(`${url}/readyz`).catch(() => null))?.ok ?? false;
}

/** Workers, bare ones too, that wait in Redis for a job. */
export async function waitingWorkers({ client }: Pick<Stand, 'client'>): Promise<number> {
  return String(await client.client('LIST')).split('cmd=bzpopmin').length - 1;
}
