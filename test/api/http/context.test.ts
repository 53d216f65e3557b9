import { describe, expect, it } from 'vitest';
import { keys } from '../../../src/store/keys.js';
import { account, admin, bankKey, shopKey, startGateway } from '../gateway.js';
import { exchange } from './raw-http.js';

const gateway = await startGateway();
const { logs } = gateway;

interface Line {
  event: string;
  [field: string]: unknown;
}

async function linesOf(work: () => Promise<unknown>): Promise<Line[]> {
  const before = logs.length;
  await work();
  await expect.poll(() => logs.length, { timeout: 10_000 }).toBeGreaterThan(before);
  return logs.slice(before).map((line) => JSON.parse(line) as Line);
}

describe('the log line of a request', () => {
  it('is one line without path or query', async () => {
    const { id } = await gateway.sent();
    const lines = await linesOf(() => gateway.call('GET', `/v1/otps/${id}?note=secret`));
    expect(lines).toEqual([
      {
        event: 'http.request',
        message: 'request',
        requestId: expect.stringMatching(/^req_/),
        method: 'GET',
        route: '/v1/otps/{id}',
        status: 200,
        durationMs: expect.any(Number),
        app: 'shop',
        otpId: id,
      },
    ]);
  });

  it('has the X-Request-Id of the answer', async () => {
    const replies: string[] = [];
    const lines = await linesOf(async () => {
      replies.push((await gateway.call('GET', '/livez')).headers.get('X-Request-Id') ?? '');
    });
    expect(lines[0]?.['requestId']).toBe(replies[0]);
  });

  it('has the problem code and its reason', async () => {
    await gateway.store.sendingPause.report({
      trouble: 'account_suspended',
      claimedAt: Date.now(),
    });
    const lines = await linesOf(() => gateway.call('POST', '/v1/otps', { body: { to: '0123456789' } }));
    await gateway.redis.del(keys.pause);
    expect(lines).toMatchObject([{ status: 503, problem: 'sending_paused', reason: 'account_suspended' }]);
  });

  it('omits an id that is no OTP of the app', async () => {
    const lines = await linesOf(() => gateway.call('GET', '/v1/otps/+60123456789'));
    expect(JSON.stringify(lines)).not.toContain('60123456789');
  });

  it('marks a client that disconnected before the answer', async () => {
    const lines = await linesOf(async () => {
      const headers = {
        Authorization: `Bearer ${shopKey}`,
        'Content-Type': 'application/json',
        Prefer: 'wait=20',
      };
      const body = JSON.stringify({ to: '0123456789' });
      const gone = new AbortController();
      const { signal } = gone;
      const jobs = async () => await gateway.redis.llen('{isms}:otp-send:wait');
      const jobsBefore = await jobs();
      const asking = fetch(`${gateway.url}/v1/otps`, { method: 'POST', headers, body, signal });
      await expect.poll(jobs, { timeout: 10_000 }).toBeGreaterThan(jobsBefore);
      gone.abort();
      await asking.catch(() => {});
    });
    expect(lines).toMatchObject([{ route: '/v1/otps', aborted: true }]);
  });

  it('names the problem of a body that comes too late', async () => {
    const lines = await linesOf(async () => {
      const head = `Host: gateway.test\r\nAuthorization: Bearer ${shopKey}\r\nContent-Type: application/json`;
      const late = `POST /v1/otps HTTP/1.1\r\n${head}\r\nContent-Length: 20\r\n\r\n{`;
      expect((await exchange(gateway.url, late)).status).toBe(408);
    });
    expect(lines).toMatchObject([{ route: '/v1/otps', status: 408, problem: 'request_timeout' }]);
    expect(lines[0]).not.toHaveProperty('aborted');
    const headers = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
    const { text } = await gateway.call('GET', '/metrics', { key: null, headers });
    expect(text).toMatch(/route="\/v1\/otps",status="408"/);
  });
});

describe('an unhandled error', () => {
  it('is logged with name, place and route, without its message', async () => {
    const secret = 'a text with 654321 and +60123456789 in it';
    const broken = await startGateway({
      dependencies: {
        provider: {
          verify: async () => {
            throw new TypeError(secret);
          },
          balance: async () => ({ kind: 'unavailable', reason: 'timeout' }),
        },
      },
    });
    const { id } = await broken.sent();
    const reply = await broken.call('POST', `/v1/otps/${id}/verify`, { body: { code: '654321' } });
    expect(reply.status).toBe(500);
    expect(reply.json).toMatchObject({ code: 'internal_error', title: 'Internal error' });
    const line = () => broken.logs.find((text) => text.includes('http.internal_error'));
    await expect.poll(line, { timeout: 10_000 }).toContain('TypeError');
    expect(line()).toContain('unhandled error in POST /v1/otps/{id}/verify');
    for (const text of [reply.text, ...broken.logs]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain('654321');
    }
  });
});

describe('a session with every kind of error', () => {
  it('leaves no password, key, code, whole number or message in the log', async () => {
    const canaries = [
      account.password,
      admin.password,
      shopKey,
      bankKey,
      '60123459876',
      '123459876',
      'canary-text',
    ];
    const to = '+60123459876';
    const { id, code } = await gateway.sent({ to, message: 'canary-text %OTP%', reference: 'canary-text-2' });
    const wrong = code === '918273' ? '918274' : '918273';
    canaries.push(code, wrong);
    const calls: [string, string, (object | undefined)?, string?][] = [
      ['POST', '/v1/otps', { to, message: 'canary-text' }],
      ['POST', '/v1/otps', { to: `${to}9`, reference: 'canary-text' }],
      ['POST', '/v1/otps', { [to]: to, [shopKey]: 'canary-text' }],
      ['GET', `/v1/otps?reference=canary-text`],
      ['GET', `/v1/otps/${to}`],
      ['GET', `/${to}/canary-text`],
      ['GET', `/v1/otps/%zz${to}`],
      ['POST', `/v1/otps/${id}/verify`, { code: wrong }],
      ['POST', `/v1/otps/${id}/verify`, { code: `${wrong}1` }],
      ['POST', `/v1/otps/${id}/verify`, { code }, bankKey],
      ['POST', `/v1/otps/${id}/verify`, { code }],
      ['POST', `/v1/otps/${id}/verify`, { code }],
      ['GET', '/v1/balance?refresh=true'],
      ['GET', '/v1/balance', undefined, `${shopKey}x`],
    ];
    const requests = () => logs.filter((line) => line.includes('"http.request"')).length;
    const before = requests();
    for (const [method, path, body, key = shopKey] of calls) {
      await gateway.call(method, path, { body, key });
    }
    await gateway.call('POST', '/v1/otps', { body: `{"to":"${to}" canary-text` });
    const basic = (password: string) => ({ Authorization: `Basic ${btoa(`${admin.username}:${password}`)}` });
    await gateway.call('GET', '/admin/queues', { key: null, headers: basic(admin.password) });
    await gateway.call('GET', '/admin/queues', { key: null, headers: basic('canary-text') });
    await expect.poll(requests, { timeout: 10_000 }).toBe(before + calls.length + 3);
    const log = logs.join('\n');
    for (const canary of canaries) expect([canary, log.includes(canary)]).toEqual([canary, false]);
  });
});
