import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createConnection } from 'node:net';
import { UnrecoverableError, Worker } from 'bullmq';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { queueNames, queuePrefix } from '../../src/queues/queues.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { createWebhookQueue } from '../../src/queues/webhook.js';
import { keys } from '../../src/store/keys.js';
import { accepted, admitted, claimed, number, request, sent, testStore } from '../support/otps.js';
import { type GatewayProcess, gatewayEnvironment, runCommand, written } from '../support/processes.js';
import { connect, databaseUrl } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';
import { startRedisServer } from '../support/redis-server.js';

await connect();
const simulator = await startSimulator();
afterAll(() => simulator.close());
const environment = gatewayEnvironment(databaseUrl(), simulator);

async function ended(command: string | string[], env: Record<string, string> = {}) {
  const running = runCommand(command, env);
  await new Promise((resolve) => running.child.once('close', resolve));
  return { code: await running.end(), said: running.output };
}

describe('a command', () => {
  it.each(['api', 'worker'])('%s exits 1 and names every missing setting', async (command) => {
    const { code, said } = await ended(command);
    expect(code).toBe(1);
    for (const name of ['REDIS_URL', 'ENCRYPTION_KEYS', 'ISMS_USERNAME', 'ISMS_PASSWORD'])
      expect(said).toContain(name);
    expect(said).not.toContain('    at ');
  });

  it.each(['undici', 'http,UNDICI', 'und*', '*', 'fetch', 'websocket', 'web*', 'child_process'])(
    'refuses to run while NODE_DEBUG=%s would print calls to iSMS or environments',
    async (NODE_DEBUG) => {
      const { code, said } = await ended('worker', { ...environment, NODE_DEBUG });
      expect(code).toBe(1);
      expect(said).toContain('NODE_DEBUG must not name undici');
      expect(said).not.toContain('request.php');
    },
  );
});

describe('config validate', () => {
  it('prints the settings of a role with secrets masked', async () => {
    const { code, said } = await ended(['config', 'validate', 'worker'], environment);
    expect(code).toBe(0);
    expect(said).toContain('MAX_SEND_RETRIES');
    expect(said).not.toContain(environment['ISMS_PASSWORD']);
    expect(said).not.toContain(environment['ENCRYPTION_KEYS']);
  });

  it('without a role exits 1 and names every setting that `api` misses', async () => {
    const nothing = await ended(['config', 'validate']);
    expect(nothing.code).toBe(1);
    expect(nothing.said).toMatch(/^5 invalid settings:/);
    expect((await ended(['config', 'validate', 'start'])).code).toBe(0);
  });

  it('exits 1 with all errors', async () => {
    const { code, said } = await ended(['config', 'validate', 'start'], {
      PORT: 'x',
      OTP_TTL_SECONDS: '5',
      DEFAULT_MESSAGE: 'hi',
    });
    expect(code).toBe(1);
    for (const name of ['PORT', 'OTP_TTL_SECONDS', 'DEFAULT_MESSAGE']) expect(said).toContain(name);
  });
});

describe('a running process', () => {
  const api = {
    ...environment,
    API_KEYS: 'shop:a-key-of-24-characters-or-more',
    PORT: '0',
    LOG_LEVEL: 'info',
  };

  it.each([
    ['api', /api\.started/],
    ['worker', /worker\.started/],
    ['simulate', /simulator\.started/],
  ])('%s exits 0 on SIGTERM', async (command, up) => {
    const running = runCommand(command, api);
    await written(running, up);
    expect(await running.end('SIGTERM')).toBe(0);
  });

  describe('on SIGTERM', () => {
    let running: GatewayProcess;
    let url = '';
    beforeAll(async () => {
      running = runCommand('api', api);
      [, url = ''] = await written(running, /"url":"([^"]+)"/);
    });

    // Connections are cut off after 35 s.
    it('ends with the last answer, though its client would use the connection again', {
      timeout: 34_000,
    }, async () => {
      const redis = await connect();
      await redis.flushdb();
      const headers = { Authorization: 'Bearer a-key-of-24-characters-or-more', Prefer: 'wait=2' };
      const answer = fetch(`${url}/v1/otps`, {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'application/json' },
        body: JSON.stringify({ to: '0123456789' }),
      });
      let early = 'not answered yet';
      answer.then(
        ({ status }) => {
          early = `answered ${status}`;
        },
        () => {},
      );
      const accepted = async () => [(await redis.keys('isms:*:otp_*')).length, early];
      await expect.poll(accepted).toEqual([1, 'not answered yet']);
      expect(await running.end('SIGTERM')).toBe(0);
      expect((await answer).status).toBe(202);
    });
  });

  it('answers a malformed request target with a problem', async () => {
    const running = runCommand('api', api);
    const [, port = ''] = await written(running, /"url":"http:\/\/127.0.0.1:(\d+)"/);
    const socket = createConnection(Number(port), '127.0.0.1');
    socket.end('GET http://[::1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*application\/problem\+json/);
    expect(await running.end('SIGTERM')).toBe(0);
  });

  it.each(['*', 'ioredis:*', 'router'])(
    'refuses to run while DEBUG=%s would print secrets',
    async (DEBUG) => {
      const { code, said } = await ended('worker', { ...environment, DEBUG });
      expect(code).toBe(1);
      expect(said).toMatch(/^DEBUG must not name/);
    },
  );

  it('says in one line that its port is taken', async () => {
    const port = new URL(simulator.url).port;
    const { code, said } = await ended('api', { ...api, PORT: port, LOG_LEVEL: 'fatal' });
    expect(code).toBe(1);
    expect(said.trim().split('\n')).toHaveLength(1);
    expect(said).toMatch(new RegExp(`^Port ${port}, for the API, is taken.*PORT`));
  });

  it.each(['api', 'worker'])(
    '%s exits 0 on a SIGTERM that comes while its modules are loaded',
    async (command) => {
      // Node hands on a signal once the event loop turns; here it comes just before its listener changes.
      const script = `const { off } = process;
      process.off = function (name, ...rest) {
        if (name === 'SIGTERM') process.kill(process.pid, name);
        return off.call(this, name, ...rest);
      };`;
      const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(script)}`;
      expect((await ended(command, { ...api, NODE_OPTIONS })).code).toBe(0);
    },
  );

  it('a worker that still waits for Redis exits 0 on SIGTERM', async () => {
    const running = runCommand('worker', { ...api, REDIS_URL: 'redis://127.0.0.1:1' });
    await written(running, /redis\.error/);
    expect(await running.end('SIGTERM')).toBe(0);
  });

  it('starts without Redis, answers 503, and works once Redis is there', { timeout: 30_000 }, async () => {
    const redis = await startRedisServer();
    await redis.kill();
    const running = runCommand('api', { ...api, REDIS_URL: redis.url });
    const [, url = ''] = await written(running, /"url":"([^"]+)"/);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    for (const line of running.output.trim().split('\n')) expect(line).toMatch(/^\{.*\}$/);
    await redis.restart();
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await running.end('SIGTERM')).toBe(0);
    await redis.stop();
  });
});

describe('commands on the stored data', () => {
  const run = async (args: string[], env: Record<string, string> = environment) => {
    const running = runCommand(args, env);
    await new Promise((resolve) => running.child.once('close', resolve));
    return { code: await running.end(), said: running.output };
  };

  it('`numbers unlock` unlocks a number that wrong codes locked', async () => {
    const store = testStore(await connect(), { maxWrongCodes: 1 });
    const id = await sent(store);
    const attempt = { app: 'shop', id, token: 'wrong', replay: null };
    await store.verificationAttempts.admit(attempt);
    await store.verificationAttempts.settle(attempt, 'incorrect');
    expect(await store.otps.admit(request(), null)).toMatchObject({ refusal: { code: 'recipient_locked' } });
    const { code, said } = await run(['numbers', 'unlock', 'shop', '012-345 6789']);
    expect(said).toBe('+60******789 of shop was unlocked: OTPs can be sent and verified again.\n');
    expect(code).toBe(0);
    expect(await store.otps.admit(request(), null)).toMatchObject({ kind: 'created' });
    const known = { ...environment, API_KEYS: 'bank:a-key-of-24-characters-or-more' };
    expect((await run(['numbers', 'unlock', 'bank', '+60123456789'], known)).said).toMatch(
      /was not limited or locked/,
    );
  });

  it('`apps pause` and `apps resume` stop and start the sends of an app, and refuse an unknown one', async () => {
    const redis = await connect();
    const store = testStore(redis);
    const env = {
      ...environment,
      API_KEYS: 'shop:a-key-of-24-characters-or-more',
      AUDIT_RETENTION_DAYS: '1',
    };
    expect(await run(['apps', 'pause', 'shop'], env)).toMatchObject({
      code: 0,
      said: expect.stringMatching(/^shop is paused: /),
    });
    expect(await store.appPauses.isPaused('shop')).toBe(true);
    const list = await run(['apps', 'list'], { ...env, BUDGET_CREDITS_PER_DAY: '50' });
    expect(list.said).toMatch(/^shop +0 of 50 +- +20\d\d-/m);
    expect((await run(['apps', 'resume', 'shop'], env)).said).toMatch(/^shop is resumed: /);
    expect(await store.appPauses.read()).toEqual(new Map());
    const unknown = await run(['apps', 'pause', 'shpo'], env);
    expect(unknown).toMatchObject({ code: 1, said: expect.stringContaining('is not an app of API_KEYS') });
    expect(await store.appPauses.read()).toEqual(new Map());
    const entries = await redis.xrange(keys.audit(new Date().toISOString().slice(0, 10)), '-', '+');
    expect(String(entries)).toContain('"action":"apps pause","result":"begun","subject":"shop"');
  });

  it('`numbers deny`, `allow`, `list` and `remove` change the lists, masked and audited', async () => {
    const redis = await connect();
    const store = testStore(redis);
    const env = {
      ...environment,
      API_KEYS: 'shop:a-key-of-24-characters-or-more',
      AUDIT_RETENTION_DAYS: '1',
    };
    const [denied, other] = [number('+601112345678'), number('+601122345678')].map((to) => request({ to }));
    expect((await run(['numbers', 'list'], env)).said).toBe('No number is allowed or denied.\n');
    const allow = [
      'numbers',
      'allow',
      '011-2234 5678',
      '--app',
      'shop',
      '--until',
      '2099-01-01T08:00:00+08:00',
    ];
    expect(await run(allow, env)).toMatchObject({
      code: 0,
      said: '+60*******678 is allowed: exempt from the toll-fraud guard for shop until 2099-01-01T00:00:00.000Z.\n',
    });
    expect((await run(['numbers', 'deny', '+60 11'], env)).said).toBe(
      '+6011 is denied: nothing is sent to it. Entries that decide before it stay allowed (1): see isms-otp numbers list.\n',
    );
    expect(await store.otps.admit(denied ?? request(), null)).toMatchObject({
      refusal: { code: 'recipient_denied' },
    });
    expect(await store.otps.admit(other ?? request(), null)).toMatchObject({ kind: 'created' });
    const { said } = await run(['numbers', 'list'], env);
    expect(said).toMatch(/^\+6011 +deny +all +-$/m);
    expect(said).toMatch(/^\+60\*{7}678 +allow +shop +2099-01-01T00:00:00.000Z$/m);
    expect((await run(['subject', 'export', '+601122345678'], env)).said).toContain('"list":"allow"');
    expect((await run(['numbers', 'allow', '+6011', '--app', 'shop'], env)).said).toMatch(
      /^\+6011 is allowed: .* for shop\. Entries that decide before it stay denied \(1\)/,
    );
    expect((await run(['numbers', 'deny', '+6011', '--app', 'shop'], env)).said).toBe(
      '+6011 is denied: nothing is sent to it for shop. The entry by which it was allowed until now is replaced. Entries that decide before it stay allowed (1): see isms-otp numbers list.\n',
    );
    expect((await run(['numbers', 'remove', '+6011', '--app', 'shop'], env)).said).toMatch(/was removed/);
    expect((await run(['numbers', 'remove', '+6011', '--app', 'shop'], env)).said).toMatch(/is on no list/);
    expect((await run(['numbers', 'remove', '+6011'], env)).said).toBe('+6011 was removed from its list.\n');
    for (const [args, problem] of [
      [['+60'], '<prefix> is neither a mobile number'],
      [['+601'], '<prefix> is neither a mobile number'],
      [['+6011', '--app', 'shpo'], '<app> is not an app'],
      [
        ['+6011', '--until', 'tomorrow'],
        "option '--until <time>' argument 'tomorrow' is invalid. It must be a date",
      ],
      [['+6011', '--until', '2099-01-01T08:00'], 'or a time with Z or an offset'],
      [['+6011', '--until', '2099-02-30'], 'It must be a date'],
      [['+6011', '--until', '2020-01-01'], '--until is past'],
    ] as const) {
      const wrong = await run(['numbers', 'deny', ...args], env);
      expect(wrong).toMatchObject({ code: 1, said: expect.stringContaining(problem) });
    }
    expect((await store.numberLists.read()).entries).toHaveLength(1);
    const entries = String(await redis.xrange(keys.audit(new Date().toISOString().slice(0, 10)), '-', '+'));
    expect(entries).toContain('"action":"numbers deny","result":"begun","subject":"+60 11"');
    expect(entries).toContain('"subject":"+60*******678 shop 2099-01-01T00:00:00.000Z"');
  });

  it('`numbers list` and `doctor` fail over entries that cannot be decrypted, and the API logs them', async () => {
    await run(['numbers', 'deny', '+6011']);
    const key = 'a-key-of-24-characters-or-more';
    const env = {
      ...environment,
      ...{ ENCRYPTION_KEYS: randomBytes(32).toString('base64'), AUDIT_RETENTION_DAYS: '1' },
    };
    const problem = 'of the allow and deny lists cannot be decrypted or applied. Restore the key';
    for (const args of [['numbers', 'list'], ['doctor']]) {
      expect(await run(args, env)).toMatchObject({ code: 1, said: expect.stringContaining(problem) });
    }
    const api = runCommand('api', { ...env, API_KEYS: `shop:${key}`, PORT: '0', LOG_LEVEL: 'info' });
    const [, url] = await written(api, /"url":"([^"]+)"/);
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
    const body = JSON.stringify({ to: '+60123456789' });
    // It listens before it has reached Redis.
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 30_000 }).toBe(200);
    expect((await fetch(`${url}/v1/otps`, { method: 'POST', headers, body })).status).toBe(202);
    await written(api, /"event":"number_lists\.unreadable"/);
    await api.end();
    for (const args of [[], ['+6011', '--unreadable']]) {
      expect(await run(['numbers', 'remove', ...args], env)).toMatchObject({
        code: 1,
        said: expect.stringContaining('<prefix> must be given, or --unreadable in its place'),
      });
    }
    const ofApp = await run(['numbers', 'remove', '--unreadable', '--app', 'shop'], env);
    expect(ofApp).toMatchObject({ code: 1, said: expect.stringContaining('cannot be used with') });
    expect(await run(['numbers', 'remove', '--unreadable'], env)).toMatchObject({
      code: 0,
      said: expect.stringMatching(/^Removed \d+ entr(?:y|ies) that cannot be decrypted\.\n$/),
    });
    const audit = await run(['audit', '2020-01-01', '2999-01-01'], env);
    expect(audit.said).toContain('"action":"numbers remove","subject":"unreadable"');
    expect((await run(['numbers', 'list'], env)).said).toBe('No number is allowed or denied.\n');
  });

  it('`ranges list` prints the limited ranges and `ranges unblock` lifts a limit', async () => {
    const redis = await connect();
    const clock = redisClock(redis);
    const store = testStore(clock.redis, { fraudGuard: 'enforce' });
    for (let n = 0; n < 20; n++) {
      const id = await admitted(store, { to: number(`01234570${String(n).padStart(2, '0')}`) });
      await store.sendAttempts.settle(await claimed(store, id), accepted());
    }
    await clock.advance(130_000);
    await store.otps.admit(request({ to: number('0123457099') }), null);
    const watching = testStore(clock.redis, { fraudGuard: 'monitor' });
    for (let n = 0; n < 23; n++) {
      await watching.otps.admit(request({ to: number(`01334571${10 + n}`) }), null);
    }
    const { said } = await run(['ranges', 'list']);
    expect(said).toMatch(/^app +range +slowed until +blocked until +capped until +rejected +would reject\n/);
    expect(said).toMatch(/^shop +6013-345xxxx +- +- +20\d\d-\S+Z +0 +3$/m);
    await run(['ranges', 'unblock', 'shop', '6013-345xxxx']);
    expect((await run(['ranges', 'list'])).said).toMatch(/^shop +6012-345xxxx +20\d\d-.*Z/m);
    expect((await run(['ranges', 'unblock', 'shop', '6012-345xxxx'])).said).toMatch(/was unblocked/);
    expect((await run(['ranges', 'list'])).said).toBe('No number range is slowed, blocked or capped.\n');
  });

  it('`subject export` and `subject erase` process the data of a number and write the audit log', async () => {
    const redis = await connect();
    await redis.flushdb();
    const store = testStore(redis);
    const queue = createSendOtpQueue({ connection: redis, onError: () => {} });
    const id = await admitted(store, { reference: 'order-1' });
    const otp = await store.otps.find('shop', id);
    if (otp) await queue.add(otp);
    const audited = { ...environment, AUDIT_RETENTION_DAYS: '7' };
    const found = await run(['subject', 'export', '0123456789'], audited);
    const [kept = '', limits = ''] = found.said.split('\n');
    expect(JSON.parse(limits)).toEqual({
      to: '+60******789',
      app: 'shop',
      admittedAt: [expect.stringMatching(/Z$/)],
      wrongCodes: 0,
      verifiedAt: null,
    });
    expect(JSON.parse(kept)).toMatchObject({
      id,
      app: 'shop',
      reference: 'order-1',
      to: '+60******789',
    });
    expect(found.said).not.toContain('123456789');
    const erased = await run(['subject', 'erase', '0123456789'], audited);
    expect(erased.said).toBe('1 OTPs to +60******789 were erased, with the limits of the number.\n');
    expect((await run(['subject', 'export', '0123456789'], audited)).said).toBe('');
    expect(await queue.queues[0].getJob(id)).toBeUndefined();
    await queue.close();
    const { said } = await run(['audit', '2026-01-01', '2999-01-01'], audited);
    const actions = said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(actions.map(({ actor, action, subject }) => [actor, action, subject].join(' '))).toEqual([
      'operator subject export +60******789',
      'operator subject erase +60******789',
      'operator subject export +60******789',
      // Reading the log is logged as well.
      'operator audit 2026-01-01T00:00:00.000Z 2999-01-01T00:00:00.000Z',
    ]);
    const firstLine = spawnSync(
      'sh',
      ['-c', `"${process.execPath}" dist/isms-otp.js audit 2026-01-01 2999-01-01 | head -1`],
      {
        env: { ...process.env, ...audited },
        encoding: 'utf8',
      },
    );
    expect(firstLine).toMatchObject({ stderr: '', status: 0 });
    expect(firstLine.stdout.split('\n')).toHaveLength(2);
    expect((await run(['audit', 'yesterday', '2999-01-01'])).said).toMatch(
      /is invalid for argument 'since'. It must be a date such as/,
    );
  });

  it('`webhooks redeliver` delivers events again whose delivery was given up', async () => {
    expect((await run(['webhooks', 'redeliver'])).said).toMatch(/every event was delivered/);
    const redis = await connect();
    const queue = createWebhookQueue(redis, () => {});
    const about = { text: null, trouble: 'account_suspended' };
    await queue.add([{ id: 'evt_1', type: 'sending.paused', at: Date.now(), about }]);
    const refusing = new Worker(
      queueNames.webhook,
      async () => {
        throw new UnrecoverableError('status_410');
      },
      { connection: redis, prefix: queuePrefix },
    );
    await vi.waitUntil(async () => (await queue.counts()).dead === 1, { timeout: 10_000 });
    await refusing.close();
    expect((await run(['webhooks', 'redeliver'])).said).toMatch(/^1 events are delivered again/);
    expect(await queue.counts()).toEqual({ waiting: 1, retrying: 0, dead: 0 });
    await queue.queue.close();
  });

  it.each([
    [['numbers', 'unlock', 'shop'], /missing required argument 'number'/],
    [['numbers', 'unlock', 'shop', '12'], /is not a mobile number/],
  ])('name a wrong argument: %j', async (args, pattern) => {
    const { code, said } = await run(args);
    expect(code).toBe(1);
    expect(said).toMatch(pattern);
    expect(said).not.toContain('    at ');
  });

  it('exit 1 with one line when Redis is unreachable', async () => {
    const { code, said } = await run(['ranges', 'list'], {
      ...environment,
      REDIS_URL: 'redis://127.0.0.1:1',
    });
    expect(code).toBe(1);
    expect(said).toMatch(/^Redis/);
    expect(said.trim().split('\n')).toHaveLength(1);
  });
});

describe('a default message', () => {
  it('that breaks the content rules of a country where SMS may go stops the start', async () => {
    const { code, said } = await ended(['config', 'validate', 'start'], {
      DEFAULT_MESSAGE: 'Use %OTP% at https://example.com',
    });
    expect(code).toBe(1);
    expect(said).toMatch(/DEFAULT_MESSAGE.*link/);
    const off = await ended(['config', 'validate', 'start'], {
      DEFAULT_MESSAGE: 'Use %OTP% at https://example.com',
      CONTENT_POLICY: 'off',
    });
    expect(off.code).toBe(0);
  });
});
