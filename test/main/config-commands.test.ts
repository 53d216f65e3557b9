import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, describe, expect, it } from 'vitest';
import { gatewayEnvironment, runCommand } from '../support/processes.js';
import { connect, databaseUrl } from '../support/redis.js';
import { freePort, startRedisServer } from '../support/redis-server.js';
import { onCluster } from '../support/redis-topology.js';
import { selfSigned } from '../support/self-signed.js';

await connect();
const simulator = await startSimulator({ username: 'tester', password: 'a-password-for-tests' });
const directory = mkdtempSync(join(tmpdir(), 'look-'));
afterAll(async () => {
  await simulator.close();
  rmSync(directory, { recursive: true });
});
const environment: Record<string, string> = {
  ...gatewayEnvironment(databaseUrl(), simulator),
  API_KEYS: `shop:${'key-'.repeat(6)}`,
  PORT: String(await freePort()),
};

async function run(args: string[], env: Record<string, string> = {}) {
  // Where no `npm start` runs, as it may in the repository.
  const running = runCommand(args, env, directory);
  await new Promise((resolve) => running.child.once('close', resolve));
  return { code: await running.end(), said: running.output };
}

interface Finding {
  check: string;
  level: string;
  text: string;
  advice?: string;
}

async function findings(
  env: Record<string, string>,
): Promise<{ code: unknown; found: Finding[]; said: string }> {
  const { code, said } = await run(['doctor', '--json'], env);
  const found = said
    .trim()
    .split('\n')
    // Without INFO, ioredis prints a warning of its own.
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Finding);
  return { code, found, said };
}
const of = (found: Finding[], check: string) => found.filter((one) => one.check === check);

describe('keys create', () => {
  it('creates a key and the digest that the gateway accepts', async () => {
    const { code, said } = await run(['keys', 'create', 'shop', '--json']);
    const { app, key, digest } = JSON.parse(said) as Record<string, string>;
    expect([code, app]).toEqual([0, 'shop']);
    expect(digest).toBe(
      `sha256:${createHash('sha256')
        .update(key ?? '')
        .digest('hex')}`,
    );
    const checked = await run(['config', 'validate', 'start'], { API_KEYS: `shop:${digest}` });
    expect(checked.said).toContain(`shop (sha256 ${digest?.slice(7, 15)}`);
    expect((await run(['keys', 'create', 'shop'])).said).not.toContain(key);
  });

  it.each([[['keys']], [['keys', 'create']], [['keys', 'create', 'Not an app']]])(
    'exits 1 for a wrong call: %j',
    async (args) => {
      const { code, said } = await run(args);
      expect(code).toBe(1);
      expect(said).toMatch(/Usage: isms-otp keys|missing required argument 'app'|The name of an app must be/);
    },
  );
});

describe('config validate', () => {
  it('prints for `start` the settings that `npm start` makes where the environment leaves them open', async () => {
    const { code, said } = await run(['config', 'validate', 'start', '--json'], {
      REDIS_URL: 'redis://127.0.0.1:1',
      ADMIN_USERNAME: 'me',
      ADMIN_PASSWORD: 'a-password-for-tests',
    });
    expect(code).toBe(0);
    expect(JSON.parse(said)).toMatchObject({
      LOG_LEVEL: 'warn (npm start)',
      REDIS_URL: 'redis://127.0.0.1:1',
      ISMS_URL: 'the simulator (npm start)',
      ENCRYPTION_KEYS: 'kept in .data (npm start)',
      ADMIN_USERNAME: 'me',
      PORT: '3000',
    });
    const worker = await run(['config', 'validate', 'worker', '--json'], environment);
    expect(JSON.parse(worker.said)).toMatchObject({ ADMIN_USERNAME: '-' });
  });
});

describe('apps validate', () => {
  it('prints the apps in a file, or all errors in it', async () => {
    const file = join(directory, 'apps.json');
    const good = {
      keys: [`sha256:${'a'.repeat(64)}`],
      templates: { default: { en: '%OTP%', ms: 'Kod %OTP%' } },
    };
    writeFileSync(file, JSON.stringify({ apps: { shop: good } }));
    const { code, said } = await run(['apps', 'validate', file, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(said)).toMatchObject([
      { app: 'shop', templates: ['default'], locales: ['en', 'ms'], keys: 1 },
    ]);
    expect((await run(['apps', 'validate'], { APPS_FILE: file })).said).toMatch(
      /^shop .*1 template\(s\) in en, ms/,
    );
    writeFileSync(file, JSON.stringify({ apps: { shop: { ...good, senderId: '!', freeText: 1 } } }));
    const wrong = await run(['apps', 'validate', file]);
    expect(wrong.code).toBe(1);
    expect(wrong.said).toContain('apps.shop.freeText');
    expect((await run(['config', 'validate', 'start'], { APPS_FILE: file })).code).toBe(1);
  });
});

describe('doctor', () => {
  it('reports no problem where none is, without a secret', async () => {
    const redis = await startRedisServer({ appendfsync: 'always' });
    const api = { ...environment, REDIS_URL: redis.url };
    const { code, found, said } = await findings(api);
    expect(code).toBe(0);
    expect(found.filter(({ level }) => level === 'problem')).toEqual([]);
    expect(of(found, 'redis').map(({ level }) => level)).toEqual(['ok', 'ok']);
    expect(of(found, 'clock')[0]?.level).toBe('ok');
    expect(of(found, 'isms')[0]?.text).toMatch(/iSMS accepts the account and this address: \d+/);
    for (const secret of [environment['ISMS_PASSWORD'], environment['ENCRYPTION_KEYS']])
      expect(said).not.toContain(secret);
    await redis.stop();
  });

  it('ends where Redis accepts connections and never answers', async () => {
    const redis = await startRedisServer({ appendfsync: 'always' });
    process.kill(redis.pid, 'SIGSTOP');
    const { code, found } = await findings({ ...environment, REDIS_URL: redis.url });
    process.kill(redis.pid, 'SIGCONT');
    expect(code).toBe(1);
    expect(of(found, 'redis')[0]?.text).toBe('Redis does not answer at REDIS_URL.');
    await redis.stop();
  });

  it('ends where no node of a cluster answers', async () => {
    const url = `redis+cluster://127.0.0.1:${await freePort()}`;
    const { code, found } = await findings({ ...environment, REDIS_URL: url, QUEUE_SHARDS: '3' });
    expect(code).toBe(1);
    expect(of(found, 'redis')[0]?.text).toBe('Redis does not answer at REDIS_URL.');
  });

  it.skipIf(onCluster)('warns of a Redis that is not durable or evicts', async () => {
    const redis = await startRedisServer({ appendfsync: 'everysec' });
    const client = redis.connect();
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const { code, found } = await findings({ ...environment, REDIS_URL: redis.url });
    expect(code).toBe(0);
    const warnings = of(found, 'redis').filter(({ level }) => level === 'warning');
    expect(warnings.map(({ advice }) => advice)).toEqual([
      expect.stringContaining('appendfsync always'),
      expect.stringContaining('noeviction'),
    ]);
    client.disconnect();
    await redis.stop();
  });

  it('exits 1 with advice on each problem', async () => {
    const settings = await findings({ ...environment, PORT: 'x' });
    expect(settings.code).toBe(1);
    expect(of(settings.found, 'settings')[0]).toMatchObject({
      level: 'problem',
      text: expect.stringContaining('PORT'),
    });
    const away = await findings({ ...environment, REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
    expect(away.code).toBe(1);
    expect(of(away.found, 'redis')[0]).toMatchObject({
      level: 'problem',
      advice: expect.stringContaining('Check that Redis runs'),
    });
    const refused = await findings({ ...environment, ISMS_PASSWORD: 'another' });
    expect(of(refused.found, 'isms')[0]).toMatchObject({
      level: 'problem',
      advice: expect.stringMatching(/ISMS_USERNAME.*sub-account.*never the email address.*API key.*portal/),
    });
    const absent = await findings({ ...environment, ISMS_URL: `http://127.0.0.1:${await freePort()}/` });
    expect(of(absent.found, 'isms')[0]).toMatchObject({
      level: 'problem',
      text: expect.stringContaining('not_connected'),
    });
  });

  it('checks each host of ISMS_URL, and names it by its origin', async () => {
    const away = `http://127.0.0.1:${await freePort()}`;
    const ISMS_URL = `${away}/2FA/request.php,${environment['ISMS_URL']}`;
    const { code, found } = await findings({ ...environment, ISMS_URL });
    expect(code).toBe(1);
    expect(of(found, 'isms').map(({ level, text }) => [level, text])).toEqual([
      ['problem', `iSMS at ${away} gives no usable answer (not_connected).`],
      ['ok', expect.stringContaining(`iSMS at ${new URL(environment['ISMS_URL'] ?? '').origin} accepts`)],
    ]);
  });

  it('warns of settings that an API or a worker lacks, and of a Redis that does not show its settings', async () => {
    const { ENCRYPTION_KEYS: _, API_KEYS: _keys, ...without } = environment;
    const lacking = await findings(without);
    expect(of(lacking.found, 'settings').map(({ level, advice }) => [level, advice])).toEqual([
      ['warning', expect.stringMatching(/ENCRYPTION_KEYS, API_KEYS\.$/)],
      ['warning', expect.stringMatching(/ENCRYPTION_KEYS\.$/)],
    ]);
    const redis = await startRedisServer();
    const client = redis.connect();
    await client.call('ACL', 'SETUSER', 'narrow', 'on', '>secret', '~*', '+ping', '+time', '+client');
    const url = redis.url.replace('redis://', 'redis://narrow:secret@');
    const narrow = await findings({ ...environment, REDIS_URL: url });
    expect(of(narrow.found, 'redis')[0]).toMatchObject({
      level: 'warning',
      advice: expect.stringMatching(/INFO/),
    });
    client.disconnect();
    await redis.stop();
  });

  it('rejects a self-signed certificate', async () => {
    const server = createServer(selfSigned).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const { found } = await findings({ ...environment, ISMS_URL: `https://localhost:${port}/` });
    expect(of(found, 'tls')[0]).toMatchObject({
      level: 'problem',
      text: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/),
    });
    server.close();
  });

  it('prints text without --json', async () => {
    const { said } = await run(['doctor'], environment);
    expect(said).toMatch(/^ok +version {3}/m);
    expect(said).toMatch(/^warning +api .*\n +→ /m);
  });
});

describe('--json', () => {
  it('makes `config validate` and the commands on the stored data print JSON', async () => {
    const { said } = await run(['config', 'validate', '--json'], environment);
    expect(JSON.parse(said)).toMatchObject({
      MAX_SEND_RETRIES: '10',
      ISMS_PASSWORD: expect.stringMatching(/\[secret\]/),
    });
    expect(JSON.parse((await run(['ranges', 'list', '--json'], environment)).said)).toEqual([]);
    const unlocked = await run(['numbers', 'unlock', 'shop', '0123456789', '--json'], environment);
    expect(JSON.parse(unlocked.said)).toEqual({ message: expect.stringMatching(/was not limited/) });
    for (const args of [
      ['numbers', 'unlock', 'shpo', '0123456789'],
      ['ranges', 'unblock', 'shpo', '60123456'],
    ])
      expect(await run(args, environment)).toMatchObject({
        code: 1,
        said: expect.stringMatching(/is not an app of API_KEYS/),
      });
  });
});
