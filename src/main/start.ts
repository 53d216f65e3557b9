import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startSimulator } from 'isms-2fa-simulator';
import { z } from 'zod';
import { runApi, runWorker } from './gateway.js';
import type { Closable, Lifecycle } from './lifecycle.js';
import { portTaken } from './listen.js';
import { load } from './load.js';
import { startPrivateRedis } from './private-redis.js';
import { startTelemetry } from './telemetry.js';

type Environment = Record<string, string | undefined>;

const adminUsername = 'admin';
const simulatorAccount = { username: 'simulated', password: 'not-a-secret' };

/**
 * Runs the API, one worker, a Redis unless `REDIS_URL` is set and the simulator unless `ISMS_USERNAME` is set, all in one
 * process. Settings in the environment are respected; data stays in `.data`.
 */
export async function start(env: Environment, lifecycle: Lifecycle): Promise<void> {
  const given = load(env, 'start');
  const directory = resolve('.data');
  const secrets = await developmentSecrets(directory);
  lifecycle.add(await lock(directory));
  const made = developmentSettings(secrets, env);
  const settings: Environment = { ...env, ...made };
  if (!given.redisUrl) {
    settings['REDIS_URL'] = await startPrivateRedis(
      join(directory, 'redis'),
      secrets.redisPassword,
      lifecycle,
    );
  }
  const simulator = given.account ? null : lifecycle.add(await simulatorBeside(given.http.port));
  if (simulator) {
    settings['ISMS_URL'] = simulator.endpoint;
    settings['ISMS_USERNAME'] = simulatorAccount.username;
    settings['ISMS_PASSWORD'] = simulatorAccount.password;
  }
  const config = load(settings, 'api');
  const telemetry = await startTelemetry('start', config, lifecycle);
  // Closing the terminal ends it.
  const host = { ...telemetry, lifecycle: { ...lifecycle, onHangup: () => {} } };
  const inboxUrl = simulator?.url ?? null;
  const apiKey = made['API_KEYS'] ? secrets.apiKey : null;
  const apiUrl = await runApi(config, host, { apiKey, inboxUrl });
  await runWorker(config, host);
  const admin = made['ADMIN_PASSWORD'] ? { username: adminUsername, password: secrets.adminPassword } : null;
  process.stdout.write(banner({ apiUrl, inboxUrl, apiKey, admin }));
}

/** Development values for settings that the environment leaves open. At `info`, requests would push the banner away. */
function developmentSettings(secrets: DevelopmentSecrets, env: Environment): Environment {
  const open = (name: string) => !env[name] && !env[`${name}_FILE`];
  return {
    ...(open('LOG_LEVEL') && { LOG_LEVEL: 'warn' }),
    ...(open('ENCRYPTION_KEYS') && { ENCRYPTION_KEYS: secrets.encryptionKey }),
    ...(open('API_KEYS') && { API_KEYS: `dev:${secrets.apiKey}` }),
    ...(open('ADMIN_USERNAME') &&
      open('ADMIN_PASSWORD') && { ADMIN_USERNAME: adminUsername, ADMIN_PASSWORD: secrets.adminPassword }),
  };
}

/** On the port after the API's, so that the inbox keeps its address from run to run. */
async function simulatorBeside(apiPort: number) {
  const port = apiPort === 0 ? 0 : apiPort + 1;
  return await startSimulator({ ...simulatorAccount, port }).catch((error: unknown) => {
    throw (
      portTaken(
        error,
        "the simulator's inbox (PORT + 1)",
        'Set PORT so that it and the next one are free.',
      ) ?? error
    );
  });
}

/** Two processes must not share the data. Throws when another one is running. */
async function lock(directory: string): Promise<Closable> {
  const file = join(directory, 'start.pid');
  const pid = Number(await readFile(file, 'utf8').catch(() => '0'));
  if (pid && pid !== process.pid && isRunning(pid)) {
    throw new Error(
      `npm start is already running here (process ${pid}). Stop it first. Only if process ${pid} is another program, delete ${file}.`,
    );
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

const secretsSchema = z.object({
  encryptionKey: z.string(),
  apiKey: z.string(),
  adminPassword: z.string(),
  redisPassword: z.string(),
});

type DevelopmentSecrets = z.infer<typeof secretsSchema>;

const ownerOnly = 0o600;
const ownerOnlyDirectory = 0o700;

/**
 * Reads `secrets.json` in `directory`, or makes it, readable by its owner only. Secrets are kept from run to run, since
 * stored data can only be read with its key.
 */
async function developmentSecrets(directory: string): Promise<DevelopmentSecrets> {
  const file = join(directory, 'secrets.json');
  await mkdir(directory, { recursive: true, mode: ownerOnlyDirectory });
  const kept = await readFile(file, 'utf8').catch(() => null);
  if (kept !== null) return secretsSchema.parse(JSON.parse(kept));
  const made: DevelopmentSecrets = {
    encryptionKey: randomBytes(32).toString('base64'),
    apiKey: `dev_${randomBytes(18).toString('base64url')}`,
    adminPassword: randomBytes(15).toString('base64url'),
    redisPassword: randomBytes(18).toString('base64url'),
  };
  await writeFile(file, `${JSON.stringify(made, null, 2)}\n`, { mode: ownerOnly, flag: 'wx' });
  return made;
}

/** The addresses, the secrets made for development, and two commands that send and verify an OTP. */
function banner({
  apiUrl,
  inboxUrl,
  apiKey,
  admin,
}: {
  apiUrl: string;
  /** Null with a real iSMS account. */
  inboxUrl: string | null;
  /** Null where the environment set them: those are not shown. */
  apiKey: string | null;
  admin: { username: string; password: string } | null;
}): string {
  const key = apiKey ?? '<your API key>';
  const call = `curl -s -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json'`;
  const login = admin ? `${admin.username} / ${admin.password}` : 'your own';
  const to = inboxUrl ? '+60123456789' : '<your number>';
  return [
    '',
    '  isms-otp-gateway is running.',
    '',
    `  API         ${apiUrl}   (documentation: ${apiUrl}/docs)`,
    `  API key     ${key}`,
    `  Admin       ${apiUrl}/admin   (login: ${login})`,
    inboxUrl
      ? `  SMS inbox   ${inboxUrl}   (iSMS simulator: no SMS is sent)`
      : '  iSMS        your account: every OTP is a real SMS and costs credits',
    '',
    '  Send an OTP:',
    `    ${call} -H 'Prefer: wait=10' -d '{"to":"${to}"}' ${apiUrl}/v1/otps`,
    '',
    `  Verify it, with ID from the answer and CODE from the ${inboxUrl ? 'inbox' : 'SMS'}:`,
    `    ${call} -d '{"code":"CODE"}' ${apiUrl}/v1/otps/ID/verify`,
    '',
    '  Ctrl-C stops everything; data stays in .data/. LOG_LEVEL=info logs every request.',
    ...(inboxUrl
      ? ['  The simulator keeps its codes in memory: after a restart, earlier codes cannot be verified.']
      : []),
    '',
    '',
  ].join('\n');
}
