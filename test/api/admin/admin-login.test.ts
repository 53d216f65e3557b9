import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { sleep } from '../../support/otps.js';
import { freePort, startRedisServer } from '../../support/redis-server.js';
import { admin, expectProblem, type Gateway, shopKey, startGateway } from '../gateway.js';

/** Two processes behind a proxy on this machine, and one without a trusted proxy. */
const behindProxy = { dependencies: { trustedProxies: ['127.0.0.1', '10.0.0.0/8'] } };
const gateway = await startGateway(behindProxy);
const sibling = await startGateway(behindProxy);
const direct = await startGateway();

const basic = (password: string) => ({ Authorization: `Basic ${btoa(`${admin.username}:${password}`)}` });
const countKeys = () => gateway.redis.keys('isms:*:failed-logins');

beforeEach(async () => {
  for (const key of await countKeys()) await gateway.redis.del(key);
  gateway.logs.length = 0;
});

const get = (on: Gateway, headers: Record<string, string>) =>
  on.call('GET', '/admin', { key: null, headers });

/** The status of a login as a proxy forwards it. */
async function login(from: string, password: string, on = gateway): Promise<number> {
  return (await get(on, { ...basic(password), 'X-Forwarded-For': from })).status;
}

async function fail(times: number, from: string, on = gateway): Promise<number[]> {
  return await Promise.all(Array.from({ length: times }, (_, n) => login(from, `guess ${n}`, on)));
}

describe('429', () => {
  it('answers right and wrong logins in every process from an address that failed 10 times', async () => {
    expect(await fail(6, '192.0.2.1')).toEqual(Array(6).fill(401));
    expect(await fail(4, '192.0.2.1', sibling)).toEqual(Array(4).fill(401));
    for (const on of [gateway, sibling]) {
      for (const password of ['wrong', admin.password])
        expect(await login('192.0.2.1', password, on)).toBe(429);
    }
    expect(await login('192.0.2.2', admin.password)).toBe(200);
  });

  it('ends when Retry-After said', async () => {
    await fail(10, '192.0.2.1');
    const right = { ...basic(admin.password), 'X-Forwarded-For': '192.0.2.1' };
    const refused = await get(gateway, right);
    expectProblem(refused, 429, 'too_many_logins');
    expect(Number(refused.headers.get('Retry-After'))).toBeCloseTo(600, -2);
    const [key = ''] = await countKeys();
    await gateway.redis.pexpire(key, 200_000);
    expect(Number((await get(gateway, right)).headers.get('Retry-After'))).toBeCloseTo(200, -2);
    await gateway.redis.pexpire(key, 1);
    await expect.poll(async () => (await get(gateway, right)).status).toBe(200);
  });

  it('does not last longer after further attempts', async () => {
    await fail(10, '192.0.2.1');
    const [key = ''] = await countKeys();
    await gateway.redis.pexpire(key, 60_000);
    await fail(5, '192.0.2.1');
    expect(await gateway.redis.pttl(key)).toBeLessThanOrEqual(60_000);
  });

  it('answers all but 10 of many simultaneous guesses, and the right login after them', async () => {
    const guesses = fail(100, '192.0.2.1');
    const right = login('192.0.2.1', admin.password);
    const statuses = await guesses;
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(10);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(90);
    expect(await right).toBe(429);
  });

  it('is not caused by API keys, so that an app cannot lock the operator out', async () => {
    const headers = { Authorization: `Bearer ${shopKey}`, 'X-Forwarded-For': '192.0.2.1' };
    for (let n = 0; n < 12; n++) expect((await get(gateway, headers)).status).toBe(401);
    expect(await login('192.0.2.1', admin.password)).toBe(200);
  });

  it('counts IPv6 addresses by their /64 network, and mapped IPv4 addresses as IPv4', async () => {
    for (let n = 0; n < 10; n++) await fail(1, `2001:db8:1:2:${n}::1`);
    expect(await login('2001:db8:1:2:ffff::9', admin.password)).toBe(429);
    expect(await login('2001:db8:1:3::1', admin.password)).toBe(200);
    await fail(10, '::ffff:192.0.2.7');
    expect(await login('192.0.2.7', admin.password)).toBe(429);
    expect(await login('192.0.2.8', admin.password)).toBe(200);
  });

  it('answers an IPv6 /56 network whose /64 networks failed 20 times together', async () => {
    for (let n = 0; n < 19; n++) await fail(1, `2001:db8:5:${(0x200 + n).toString(16)}::1`);
    expect(await login('2001:db8:5:2ff::1', admin.password)).toBe(200);
    await fail(1, '2001:db8:5:280::1');
    expect(await login('2001:db8:5:2ff::1', admin.password)).toBe(429);
    expect(await login('2001:db8:5:300::1', admin.password)).toBe(200);
  });

  it('cannot be evaded by the port that some proxies add', async () => {
    for (let n = 0; n < 5; n++) await fail(1, `192.0.2.1:${4_000 + n}`);
    for (let n = 0; n < 5; n++) await fail(1, `[::ffff:192.0.2.1]:${4_000 + n}`);
    expect(await login('192.0.2.1', admin.password)).toBe(429);
  });

  it('is logged once, and neither log nor Redis has the whole address', async () => {
    await fail(13, '192.0.2.123');
    const blocked = () => gateway.logs.filter((line) => line.includes('admin.login_blocked'));
    await expect.poll(() => blocked().length, { timeout: 10_000 }).toBeGreaterThan(0);
    const lines = blocked();
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      {
        event: 'admin.login_blocked',
        from: '192.0.2.0/24',
        endsInMs: expect.any(Number),
        message: expect.any(String),
      },
    ]);
    expect(await countKeys()).toHaveLength(1);
    for (const text of [...gateway.logs, ...(await countKeys())]) expect(text).not.toContain('192.0.2.123');
  });
});

describe('a failed login', () => {
  const failures = () =>
    gateway.logs
      .map((line) => JSON.parse(line) as { event: string })
      .filter(({ event }) => event === 'admin.login_failed');

  it.each([
    ['192.0.2.123', '192.0.2.0/24'],
    ['::ffff:192.0.2.123', '192.0.2.0/24'],
    ['2001:db8:1:2ff::123', '2001:db8:1:200::/56'],
    ['a text of 192.0.2.123', 'unknown'],
  ])('from %s is logged as from %s, without the password', async (address, from) => {
    expect(await login(address, 'canary-password')).toBe(401);
    expect(failures()).toEqual([{ event: 'admin.login_failed', from, message: expect.any(String) }]);
    for (const line of gateway.logs) expect(line).not.toMatch(/canary|123/);
  });

  it('is logged once per comparison, a right one never', async () => {
    expect(await login('192.0.2.1', admin.password)).toBe(200);
    await get(gateway, { 'X-Forwarded-For': '192.0.2.1' });
    expect(failures()).toEqual([]);
    for (let n = 0; n < 13; n++) await fail(1, '192.0.2.1');
    expect(failures()).toHaveLength(10);
  });
});

describe('a request without a login', () => {
  it('is not counted, since browsers send one before they ask the user', async () => {
    const asking = () => get(gateway, { 'X-Forwarded-For': '192.0.2.1' });
    for (let n = 0; n < 20; n++) expectProblem(await asking(), 401, 'unauthorized');
    await fail(9, '192.0.2.1');
    expect(await login('192.0.2.1', admin.password)).toBe(200);
  });
});

describe('X-Forwarded-For', () => {
  it('is ignored from a client that is not a trusted proxy', async () => {
    for (let n = 0; n < 10; n++) await fail(1, `192.0.2.${n}`, direct);
    expect(await login('198.51.100.1', admin.password, direct)).toBe(429);
  });

  it('is believed as far as the proxies in it are trusted', async () => {
    for (let n = 0; n < 10; n++) await fail(1, `198.51.100.${n}, 192.0.2.1, 10.1.2.3`);
    expect(await login('192.0.2.1', admin.password)).toBe(429);
    expect(await login('198.51.100.1', admin.password)).toBe(200);
  });
});

describe('without Redis', () => {
  it('the login works without a limit and does not hang', async () => {
    const alone = await startGateway({ redisUrl: `redis://127.0.0.1:${await freePort()}` });
    await expectOpen(alone);
  });

  it('the login works while Redis is frozen', async () => {
    const server = await startRedisServer();
    // An afterAll registered inside a test is ignored.
    onTestFinished(server.stop);
    const frozen = await startGateway({ redisUrl: server.url });
    while ((await frozen.call('GET', '/readyz')).status !== 200) await sleep(20);
    process.kill(server.pid, 'SIGSTOP');
    try {
      await expectOpen(frozen);
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
  });
});

async function expectOpen(on: Gateway): Promise<void> {
  expect(await fail(12, '192.0.2.1', on)).toEqual(Array(12).fill(401));
  expect(await login('192.0.2.1', admin.password, on)).toBe(200);
}
