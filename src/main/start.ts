import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { startSimulator } from 'isms-2fa-simulator';
import { z } from 'zod';
import type { Config } from '../config/roles.js';
import { runApi, runWorker } from './gateway.js';
import type { Closable, Lifecycle } from './lifecycle.js';
import { listen } from './listen.js';
import { load } from './load.js';
import { startPrivateRedis } from './private-redis.js';
import { startTelemetry } from './telemetry.js';

type Environment = Record<string, string | undefined>;

const dataDirectory = '.data';
const adminUsername = 'admin';
const simulatorAccount = { username: 'simulated', password: 'not-a-secret' };

/**
 * Runs the API, one worker, a Redis unless `REDIS_URL` is set and the simulator unless `ISMS_USERNAME` is set, all in one
 * process. Settings in the environment are respected; data stays in `.data`.
 */
export async function start(env: Environment, lifecycle: Lifecycle): Promise<void> {
  const given = load(env, 'start');
  const directory = resolve(dataDirectory);
  const secrets = await developmentSecrets(directory);
  const run = lifecycle.add(await lock(directory));
  await checkPorts(given);
  const made = developmentSettings(secrets, env);
  if (!given.redisUrl) {
    made['REDIS_URL'] = await startPrivateRedis(join(directory, 'redis'), secrets.redisPassword, lifecycle);
  }
  // On the port after the API's, so that the inbox keeps its address from run to run.
  const inboxPort = given.http.port && given.http.port + 1;
  const simulator = given.account
    ? null
    : lifecycle.add(await startSimulator({ ...simulatorAccount, port: inboxPort }));
  if (simulator) {
    made['ISMS_URL'] = simulator.endpoint;
    made['ISMS_USERNAME'] = simulatorAccount.username;
    made['ISMS_PASSWORD'] = simulatorAccount.password;
  }
  const config = load({ ...env, ...made }, 'api');
  const telemetry = await startTelemetry('start', config, lifecycle);
  // Closing the terminal ends it.
  const host = { ...telemetry, lifecycle: { ...lifecycle, onHangup: () => {} } };
  const inboxUrl = simulator?.url ?? null;
  const apiKey = made['API_KEYS'] ? secrets.apiKey : null;
  const apiUrl = await runApi(config, host, { apiKey, inboxUrl });
  await runWorker(config, host);
  await run.record({ ...made, HOST: config.http.host, PORT: new URL(apiUrl).port || '80' });
  const login = made['ADMIN_PASSWORD'] ? `${adminUsername} / ${secrets.adminPassword}` : 'your own';
  process.stdout.write(banner({ apiUrl, login, inboxUrl, key: apiKey ?? '<your API key>' }));
}

/** Development values for settings that the environment leaves open. At `info`, requests would push the banner away. */
function developmentSettings(
  secrets: Omit<DevelopmentSecrets, 'redisPassword'>,
  env: Environment,
): Environment {
  const open = openIn(env);
  return {
    ...(open('LOG_LEVEL') && { LOG_LEVEL: 'warn' }),
    ...(open('ENCRYPTION_KEYS') && { ENCRYPTION_KEYS: secrets.encryptionKey }),
    ...(open('API_KEYS') && { API_KEYS: `dev:${secrets.apiKey}` }),
    ...(open('ADMIN_USERNAME') &&
      open('ADMIN_PASSWORD') && { ADMIN_USERNAME: adminUsername, ADMIN_PASSWORD: secrets.adminPassword }),
  };
}

/** Whether the environment leaves a setting open. */
const openIn = (env: Environment) => (name: string) => !env[name] && !env[`${name}_FILE`];

/** What `start` uses for the settings that the environment leaves open, without secrets. */
export function shownByStart(env: Environment): Record<string, string> {
  const kept = `kept in ${dataDirectory}`;
  const open = openIn(env);
  const { username, password } = simulatorAccount;
  const made = {
    ...developmentSettings({ encryptionKey: kept, apiKey: kept, adminPassword: kept }, env),
    ...(open('REDIS_URL') && { REDIS_URL: 'a private Redis' }),
    ...(open('ISMS_USERNAME') && {
      ISMS_URL: 'the simulator',
      ISMS_USERNAME: username,
      ISMS_PASSWORD: password,
    }),
  };
  return Object.fromEntries(Object.entries(made).map(([name, value]) => [name, `${value} (npm start)`]));
}

/** Throws an error that names each port that another process has. */
async function checkPorts({ http: { host, port }, account }: Config): Promise<void> {
  if (port === 0) return;
  const api = { host, port, server: 'the API (PORT)' };
  const inbox = { host: '127.0.0.1', port: port + 1, server: "the simulator's inbox (PORT + 1)" };
  const tries = await Promise.allSettled(
    (account ? [api] : [api, inbox]).map(async ({ server, ...at }) => {
      const probe = createServer();
      await listen(probe, at, { server, advice: '' });
      await promisify(probe.close.bind(probe))();
    }),
  );
  const problems = tries.flatMap((one) => (one.status === 'rejected' ? [String(one.reason.message)] : []));
  const advice = account ? 'Set PORT to a free one.' : 'Set PORT so that it and the next one are free.';
  if (problems.length > 0) throw new Error([...problems, advice].join('\n'));
}

const runSchema = z.object({ pid: z.int(), settings: z.record(z.string(), z.string()) });

/** The other process that runs `start` in a directory, with the settings that it made; null without one. */
async function findRun(directory: string): Promise<z.infer<typeof runSchema> | null> {
  const text = await readFile(runFile(directory), 'utf8').catch(() => '');
  try {
    const run = runSchema.parse(JSON.parse(text));
    return run.pid !== process.pid && process.kill(run.pid, 0) ? run : null;
  } catch {
    // No file, half a file, or a process that is gone.
    return null;
  }
}

/** An environment with the settings of `start` where it runs in this directory, for those that are left open. */
export async function besideStart(env: Environment): Promise<{ pid: number | null; env: Environment }> {
  const run = await findRun(resolve(dataDirectory));
  const open = Object.entries(run?.settings ?? {}).filter(([name]) => openIn(env)(name));
  return { pid: run?.pid ?? null, env: { ...env, ...Object.fromEntries(open) } };
}

const runFile = (directory: string) => join(directory, 'start.json');

/** Two processes must not share the data. Throws when another one is running; `record` keeps what `findRun` reads. */
async function lock(directory: string): Promise<Closable & { record(settings: Environment): Promise<void> }> {
  const file = runFile(directory);
  const other = await findRun(directory);
  if (other) {
    throw new Error(
      `npm start is already running here (process ${other.pid}). Stop it first. Only if process ${other.pid} is another program, delete ${file}.`,
    );
  }
  const record = (settings: Environment) =>
    writeFile(file, JSON.stringify({ pid: process.pid, settings }), { mode: ownerOnly });
  await record({});
  return { record, close: () => rm(file, { force: true }) };
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

/** The addresses, the secrets made for development but none of the environment, and commands that use them. */
function banner(options: Record<'apiUrl' | 'login' | 'key', string> & { inboxUrl: string | null }): string {
  const { apiUrl, login, key, inboxUrl } = options;
  const call = `curl -s -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json'`;
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
