import { beforeEach, describe, expect, it } from 'vitest';
import { admin, type Call, expectProblem, shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
const login = (username: string, password: string) => `Basic ${btoa(`${username}:${password}`)}`;
const asAdmin = { Authorization: login(admin.username, admin.password) };

const call = (method: string, path: string, headers: Record<string, string> = {}, rest: Call = {}) =>
  gateway.call(method, path, { key: null, headers: { ...asAdmin, ...headers }, ...rest });

describe('200', () => {
  it('serves Bull Board, which loads nothing from other hosts', async () => {
    const page = await call('GET', '/admin/queues');
    expect(page.status).toBe(200);
    expect(page.text).toContain('<title>isms-otp-gateway</title>');
    expect(page.text).toContain('<base href="/admin/queues/" />');
    expect(page.text).not.toMatch(/(?:href|src)="(?:https?:)?\/\//);
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'self'");
    const [script] = /static\/js\/main[^"]*/.exec(page.text) ?? [];
    expect((await call('GET', `/admin/queues/${script}`)).status).toBe(200);
  });

  it('forbids caching of what Bull Board shows, and hides Express', async () => {
    for (const path of ['', '/api/queues', '/api/queues?activeQueue=otp-send&status=latest']) {
      const { status, headers } = await call('GET', `/admin/queues${path}`);
      expect(status).toBe(200);
      expect(headers.get('Cache-Control')).toBe('no-store');
      expect(headers.has('X-Powered-By')).toBe(false);
    }
  });

  it('shows every queue, read-only, with masked numbers only', async () => {
    await gateway.call('POST', '/v1/otps', { body: { to: '0123456789' } });
    const { text, json } = await call('GET', '/admin/queues/api/queues?activeQueue=otp-send&status=latest');
    const { queues } = json as { queues: { name: string; readOnlyMode: boolean; jobs: unknown[] }[] };
    expect(queues.map(({ name }) => name).sort()).toEqual(['balance', 'otp-batch', 'otp-send', 'webhook']);
    expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
    expect(text).toContain('+60******789');
    expect(text).not.toContain('123456789');
  });

  it('never asks Redis for more than 100 jobs at once', async () => {
    for (let n = 0; n < 105; n++) await gateway.call('POST', '/v1/otps', { body: { to: '0123456789' } });
    const path = '/admin/queues/api/queues?activeQueue=otp-send&status=waiting&page=1&jobsPerPage=200000';
    const { queues } = (await call('GET', path)).json as { queues: { name: string; jobs: unknown[] }[] };
    expect(queues.find(({ name }) => name === 'otp-send')?.jobs).toHaveLength(100);
  });
});

describe('400', () => {
  it('answers requests that Bull Board cannot read', async () => {
    const json = { 'Content-Type': 'application/json' };
    expect((await call('PUT', '/admin/queues/api/queues/pause', json, { body: '{' })).status).toBe(400);
    expect((await call('GET', '/admin/queues/api/queues?activeQueue=%25')).status).toBe(400);
    expect((await call('GET', '/admin/queues/api/queues/otp-send/%zz')).status).toBe(400);
  });
});

describe('401', () => {
  beforeEach(async () => {
    for (const key of await gateway.redis.keys('isms:*:failed-logins')) await gateway.redis.del(key);
  });

  it.each([
    {},
    { Authorization: login(admin.username, 'wrong') },
    { Authorization: login('other', admin.password) },
    { Authorization: login(admin.username, `${admin.password}x`) },
    { Authorization: 'Basic nonsense' },
    { Authorization: `Bearer ${shopKey}` },
  ])('asks for the login: %j', async (headers) => {
    for (const path of [
      '/admin',
      '/admin/queues',
      '/admin/queues/api/queues',
      '/admin/queues/static/js/main.js',
    ]) {
      const reply = await gateway.call('GET', path, { key: null, headers });
      expectProblem(reply, 401, 'unauthorized');
      expect(reply.headers.get('WWW-Authenticate')).toMatch(/^Basic realm=/);
    }
  });
});

describe('403', () => {
  const add = '/admin/queues/api/queues/otp-send/add';

  it.each([
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { Origin: 'https://evil.test' },
    { Origin: 'null' },
  ])('answers a change that another site makes a browser send: %j', async (headers) => {
    const plain = { ...headers, 'Content-Type': 'text/plain' };
    expectProblem(await call('POST', add, plain, { body: '{}' }), 403, 'cross_site_request');
    expectProblem(await call('PUT', '/admin/queues/api/queues/pause', headers), 403, 'cross_site_request');
  });
});

describe('404', () => {
  it('answers every admin path when no login is set', async () => {
    const bare = await startGateway({ dependencies: { admin: null } });
    for (const path of ['/admin', '/admin/queues', '/admin/queues/api/queues']) {
      expectProblem(await bare.call('GET', path, { key: null, headers: asAdmin }), 404, 'not_found');
    }
  });
});

describe('405', () => {
  it.each([
    ['PUT', '/admin/queues/api/queues/otp-send/pause'],
    ['PUT', '/admin/queues/api/queues/otp-send/empty'],
    ['PUT', '/admin/queues/api/queues/otp-send/obliterate'],
    ['POST', '/admin/queues/api/queues/otp-send/add'],
  ])('answers a change without ADMIN_ACTIONS: %s %s', async (method, path) => {
    const before = await gateway.redis.hgetall('{isms}:otp-send:meta');
    const body = { name: 'x', data: {}, options: {}, jobName: 'x', jobData: {}, jobOptions: {} };
    const reply = await call(method, path, { Origin: gateway.url }, { body });
    expect(reply.status).toBe(405);
    expect(await gateway.redis.hgetall('{isms}:otp-send:meta')).toEqual(before);
  });

  it('leaves sending on after a request to pause every queue', async () => {
    await call('PUT', '/admin/queues/api/queues/pause');
    expect((await gateway.call('POST', '/v1/otps', { body: { to: '0123456789' } })).status).toBe(202);
  });
});
