import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { ConfigError, type Environment } from '../config/load-config.js';
import type { Config } from '../config/roles.js';
import { dayMs } from '../lib/time.js';
import { troubleTexts } from '../otp/outcome.js';
import { unreadableEntries } from '../store/number-lists.js';
import { mastersOf, type RedisClient } from '../store/script.js';
import { createAppRegistry } from './apps.js';
import { ismsProvider, storeOf } from './composition.js';
import { load } from './load.js';
import { packageVersion } from './package-version.js';
import { connectOnce, warnOfRedis } from './redis.js';

/** Result of one check, with advice. */
interface Finding {
  check: 'version' | 'settings' | 'redis' | 'clock' | 'tls' | 'isms' | 'api';
  level: 'ok' | 'warning' | 'problem';
  text: string;
  advice?: string;
}

const leastRedis = [6, 2] as const;
const mostSkewMs = 1_000;
const certificateWarnDays = 14;
const answerWithinMs = 5_000;

const ok = (check: Finding['check'], text: string): Finding => ({ check, level: 'ok', text });
const advised =
  (level: Finding['level']) =>
  (check: Finding['check'], text: string, advice: string): Finding => ({ check, level, text, advice });
const warning = advised('warning');
const problem = advised('problem');

/** Checks what this machine needs to run the gateway. Changes nothing. */
export async function* diagnose(env: Environment) {
  for await (const finding of findingsOf(env)) yield outputOf(finding);
}

async function* findingsOf(given: Environment): AsyncGenerator<Finding> {
  yield ok('version', `isms-otp-gateway ${packageVersion()} on Node ${process.versions.node}`);
  const { besideStart } = await import('./start.js');
  const { pid, env } = await besideStart(given);
  if (pid !== null) yield ok('settings', `npm start runs here (process ${pid}); its settings are used.`);
  const config = readSettings(env);
  if ('check' in config) return yield config;
  yield* missingSettings(env);
  yield* redisFindings(config);
  yield* ismsFindings(config);
  yield await apiFinding(config, env['ISMS_OTP_URL']);
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ours = 0, theirs = 0] = version.split('.').map(Number);
  return ours > major || (ours === major && theirs >= minor);
}

function readSettings(env: Environment): Config | Finding {
  try {
    const config = load(env, 'start');
    createAppRegistry(config);
    return config;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return problem('settings', text, 'Fix these first; see docs/configuration.md.');
  }
}

/** Valid settings may still lack what a process requires. */
function* missingSettings(env: Environment): Generator<Finding> {
  let complete = true;
  for (const command of ['api', 'worker'] as const) {
    try {
      load(env, command);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      complete = false;
      const missing = error.errors.map(({ variable }) => variable).join(', ');
      const advice = `Set what it needs, if one is to run here: ${missing}.`;
      yield warning('settings', `No ${command} can start with these settings.`, advice);
    }
  }
  if (complete) yield ok('settings', 'The settings and APPS_FILE are valid.');
}

async function* redisFindings(config: Config): AsyncGenerator<Finding> {
  if (!config.redisUrl) {
    return yield warning(
      'redis',
      'REDIS_URL is not set.',
      'Set it for API and worker; `npm start` runs a Redis of its own.',
    );
  }
  const redis = connectOnce(config.redisUrl.reveal());
  redis.on('error', () => {});
  try {
    if ((await redis.ping().catch(() => null)) === null) {
      const advice = 'Check that Redis runs, its password, and firewalls.';
      return yield problem('redis', 'Redis does not answer at REDIS_URL.', advice);
    }
    yield* knownRedis(redis, config);
  } catch {
    const advice = 'Allow this login INFO, CONFIG GET and TIME, or check the settings of Redis yourself.';
    yield warning('redis', 'Redis answers, but does not show its settings.', advice);
  } finally {
    redis.disconnect();
  }
}

const redisAdvice: Record<string, string> = {
  'redis.not_durable': 'Set `appendonly yes` and `appendfsync always` (docs/operations.md).',
  'redis.eviction_enabled': 'Set `maxmemory-policy noeviction`, or jobs and records disappear.',
  'redis.full_coverage_required': 'Set `cluster-require-full-coverage no` on every master.',
  'redis.shards_uneven': 'Choose QUEUE_SHARDS as docs/scaling.md says.',
};

async function* knownRedis(redis: RedisClient, config: Config): AsyncGenerator<Finding> {
  const versions = await Promise.all(
    mastersOf(redis).map(
      async (master) => /redis_version:(\S+)/.exec(await master.info('server'))?.[1] ?? '0',
    ),
  );
  const old = versions.find((version) => !isAtLeast(version, leastRedis));
  yield old === undefined
    ? ok('redis', `Redis ${[...new Set(versions)].join(', ')} answers.`)
    : problem('redis', `Redis is ${old}.`, `Use ${leastRedis.join('.')} or newer.`);
  const warnings: Finding[] = [];
  const note = ({ event }: { event?: string }, message: string) => {
    warnings.push(warning('redis', `${message}.`, redisAdvice[event ?? ''] ?? 'See docs/operations.md.'));
  };
  await warnOfRedis(redis, config.queues.shards, { info: note, warn: note, error: note });
  yield* warnings.sort((a, b) => a.text.localeCompare(b.text));
  if (warnings.length === 0) yield ok('redis', 'Redis is durable and evicts nothing.');
  yield await clockFinding(redis);
  const { encryptionKeys } = config;
  if (!encryptionKeys) return;
  const logger = { info: note, warn: note, error: () => {} };
  const { numberLists } = storeOf(redis, { ...config, encryptionKeys }, logger);
  const { unreadable } = await numberLists.read();
  if (unreadable > 0)
    yield problem(
      'redis',
      unreadableEntries(unreadable),
      'If it is lost, run `isms-otp numbers remove --unreadable` and add the entries again.',
    );
}

/** Deadlines use Redis's clock, logs and webhooks this machine's. */
async function clockFinding(redis: RedisClient): Promise<Finding> {
  const before = Date.now();
  const [seconds = 0, micros = 0] = (await redis.time()).map(Number);
  const skewMs = Math.round(seconds * 1_000 + micros / 1_000 - (before + Date.now()) / 2);
  const text = `Redis's clock is ${Math.abs(skewMs)} ms ${skewMs < 0 ? 'behind' : 'ahead of'} this one.`;
  return Math.abs(skewMs) <= mostSkewMs
    ? ok('clock', text)
    : warning('clock', text, 'Keep both in sync by NTP; receivers reject webhooks with an old time.');
}

async function* ismsFindings(config: Config): AsyncGenerator<Finding> {
  const { account, ...others } = config;
  const urls = config.isms.urls.map((url) => new URL(url));
  for (const url of urls) if (url.protocol === 'https:') yield await tlsFinding(url);
  if (!account) {
    return yield warning(
      'isms',
      'ISMS_USERNAME is not set.',
      'Set the account; `npm start` uses a simulator meanwhile.',
    );
  }
  for (const { href, origin } of urls) {
    const isms = { ...config.isms, urls: [href] };
    yield await balanceFinding({ ...others, account, isms }, urls.length > 1 ? `iSMS at ${origin}` : 'iSMS');
  }
}

async function tlsFinding({ hostname, port }: URL): Promise<Finding> {
  const socket = connectTls({ host: hostname, port: Number(port || 443), servername: hostname });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(answerWithinMs) });
    const days = Math.floor((Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / dayMs);
    const text = `${hostname} has a valid certificate for ${days} more days.`;
    const advice = 'iSMS has to renew it; contact them if it does not.';
    return days >= certificateWarnDays ? ok('tls', text) : warning('tls', text, advice);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
    const advice = 'Check ISMS_URL, and firewalls and proxies on the way.';
    return problem('tls', `No trusted TLS connection to ${hostname} (${reason}).`, advice);
  } finally {
    socket.destroy();
  }
}

async function balanceFinding(
  config: Parameters<typeof ismsProvider>[0] & Pick<Config, 'balance'>,
  name: string,
): Promise<Finding> {
  const provider = ismsProvider(config);
  const outcome = await provider.balance();
  await provider.close();
  switch (outcome.kind) {
    case 'known': {
      const text = `${name} accepts the account and this address: ${outcome.credits} credits.`;
      return outcome.credits >= config.balance.lowCredits
        ? ok('isms', text)
        : warning('isms', text, 'Top it up: at 0 sending pauses.');
    }
    case 'account_trouble':
      return problem('isms', `${name} answers ${outcome.trouble}.`, troubleTexts[outcome.trouble].advice);
    case 'unavailable':
      return problem(
        'isms',
        `${name} gives no usable answer (${outcome.reason}).`,
        'Check ISMS_URL, and whether iSMS is up.',
      );
  }
}

/** Checks the API at ISMS_OTP_URL, else on this machine at HOST and PORT. */
async function apiFinding({ http: { host, port } }: Config, used: string | undefined): Promise<Finding> {
  const shown = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host;
  const url = `${(used ?? `http://${shown}:${port}`).replace(/\/+$/, '')}/readyz`;
  try {
    const { status } = await fetch(url, { signal: AbortSignal.timeout(answerWithinMs) });
    return status === 200
      ? ok('api', `The API at ${url} is ready.`)
      : problem('api', `The API at ${url} answers ${status}.`, 'It cannot reach Redis: see its log.');
  } catch {
    return warning(
      'api',
      `No API answers at ${url}.`,
      'Start one here with `isms-otp api`, unless it runs elsewhere.',
    );
  }
}

const marks: Record<Finding['level'], string> = { ok: 'ok     ', warning: 'warning', problem: 'PROBLEM' };

function outputOf(finding: Finding) {
  const { check, level, text, advice } = finding;
  const line = `${marks[level]}  ${check.padEnd(8)}  ${text}`;
  return { text: advice === undefined ? line : `${line}\n${' '.repeat(19)}→ ${advice}`, data: finding };
}
