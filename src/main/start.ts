import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { startSimulator } from 'isms-2fa-simulator';
import { banner } from './banner.js';
import { type DevelopmentSecrets, developmentSecrets } from './development-secrets.js';
import { load } from './load.js';
import { startPrivateRedis } from './private-redis.js';
import { runApi } from './run-api.js';
import { runWorker } from './run-worker.js';
import type { Parts, Running } from './running.js';
import { startTelemetry } from './telemetry.js';

type Environment = Record<string, string | undefined>;

const adminUsername = 'admin';
const simulatorAccount = { username: 'simulated', password: 'not-a-secret' };

/**
 * Everything on this machine in one process: a Redis of its own unless `REDIS_URL` is set, the simulator unless
 * `ISMS_USERNAME` is set, the API and one worker. What the environment sets is respected; data stays in `.data`.
 */
export async function start(env: Environment, parts: Parts): Promise<void> {
  const given = load(env, 'start');
  const directory = resolve('.data');
  const secrets = await developmentSecrets(directory);
  parts.add(await onlyOne(directory));
  const made = developmentSettings(secrets, env);
  const settings: Environment = { ...env, ...made };
  if (!given.redisUrl) {
    settings['REDIS_URL'] = await startPrivateRedis(join(directory, 'redis'), secrets.redisPassword, parts);
  }
  const simulator = given.account ? null : parts.add(await simulatorBeside(given.http.port));
  if (simulator) {
    settings['ISMS_URL'] = simulator.endpoint;
    settings['ISMS_USERNAME'] = simulatorAccount.username;
    settings['ISMS_PASSWORD'] = simulatorAccount.password;
  }
  const config = load(settings, 'api');
  const telemetry = await startTelemetry('start', config, parts);
  // Whoever closes the terminal means the end.
  const untilHangup: Parts = { ...parts, onHangup: () => {} };
  const apiUrl = await runApi(config, telemetry, untilHangup);
  await runWorker(config, telemetry, untilHangup);
  const inboxUrl = simulator?.url ?? null;
  const apiKey = made['API_KEYS'] ? secrets.apiKey : null;
  const admin = made['ADMIN_PASSWORD'] ? { username: adminUsername, password: secrets.adminPassword } : null;
  process.stdout.write(banner({ apiUrl, inboxUrl, apiKey, admin }));
}

/** Development values for what the environment leaves open, by variable. */
function developmentSettings(secrets: DevelopmentSecrets, env: Environment): Environment {
  const open = (name: string) => !env[name] && !env[`${name}_FILE`];
  return {
    ...(open('ENCRYPTION_KEYS') && { ENCRYPTION_KEYS: secrets.encryptionKey }),
    ...(open('API_KEYS') && { API_KEYS: `dev:${secrets.apiKey}` }),
    ...(open('ADMIN_USERNAME') &&
      open('ADMIN_PASSWORD') && { ADMIN_USERNAME: adminUsername, ADMIN_PASSWORD: secrets.adminPassword }),
  };
}

/** On the API's port plus one, so that the address of the inbox stays the same from run to run. */
async function simulatorBeside(apiPort: number) {
  const port = apiPort === 0 ? 0 : apiPort + 1;
  return await startSimulator({ ...simulatorAccount, port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new Error(
      `Port ${port}, for the simulator's inbox (PORT + 1), is taken by another process. Set PORT to a port that is free and followed by a free one.`,
    );
  });
}

/** Two runs on the same data would spoil it. Throws when another one is running. */
async function onlyOne(directory: string): Promise<Running> {
  const file = join(directory, 'start.pid');
  const pid = Number(await readFile(file, 'utf8').catch(() => '0'));
  if (pid && pid !== process.pid && isRunning(pid)) {
    throw new Error(`npm start is already running here (process ${pid}). Stop it first, or delete ${file}.`);
  }
  await writeFile(file, String(process.pid));
  return { close: () => rm(file, { force: true }) };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
