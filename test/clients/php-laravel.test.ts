import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { beforeAll, describe, expect, it } from 'vitest';
import { afterFile } from '../support/clean-up.js';
import { type FullGateway, startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { freePort } from '../support/redis-server.js';
import { secret } from '../webhooks/receiver.js';
import { startPhpServer } from './php/php-server.js';

/** Debian's package of Laravel 8. */
const laravel = '/usr/share/php/Illuminate/Foundation';

/** A browser's cookies and CSRF token. */
function createVisitor(url: string) {
  const cookies = new Map<string, string>();
  const call = async (method: string, path: string, body?: object | string) => {
    const token = cookies.get('XSRF-TOKEN');
    const response = await fetch(url + path, {
      method,
      headers: {
        Accept: 'application/json',
        Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(token && { 'X-XSRF-TOKEN': decodeURIComponent(token) }),
        ...(body && {
          'Content-Type': typeof body === 'string' ? 'application/x-www-form-urlencoded' : 'application/json',
        }),
      },
      ...(body && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    const text = await response.text();
    return { status: response.status, json: JSON.parse(text || 'null') as Record<string, unknown> | null };
  };
  return {
    get: (path: string) => call('GET', path),
    post: (path: string, body: object | string) => call('POST', path, body),
  };
}

describe.skipIf(!existsSync(laravel))('clients/php/examples/laravel in a real Laravel', () => {
  const app = mkdtempSync(join(tmpdir(), 'laravel-app-'));
  afterFile(() => rmSync(app, { recursive: true }));
  const log = () => readFileSync(join(app, 'storage/logs/laravel.log'), 'utf8');
  const start = async (env: Record<string, string> = {}, port?: number) =>
    await startPhpServer('index.php', {
      port: port ?? (await freePort()),
      cwd: app,
      env: {
        APP_KEY: `base64:${randomBytes(32).toString('base64')}`,
        CLIENT_AUTOLOAD: resolve('clients/php/autoload.php'),
        ISMS_OTP_URL: gateway.url,
        ISMS_OTP_KEY: gateway.key,
        ISMS_OTP_WEBHOOK_SECRET: `whsec_${randomBytes(32).toString('base64')}, ${secret}`,
        ...env,
      },
    });
  let url = '';
  let gateway: FullGateway;
  beforeAll(async () => {
    for (const part of ['clients/php/examples/laravel', 'test/clients/laravel']) {
      cpSync(part, app, { recursive: true });
    }
    for (const folder of ['bootstrap/cache', 'storage/logs', 'storage/framework/sessions']) {
      mkdirSync(join(app, folder), { recursive: true });
    }
    await connect();
    const port = await freePort();
    gateway = await startFullGateway({
      LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0',
      WEBHOOK_URL: `http://127.0.0.1:${port}/hooks/otp`,
      WEBHOOK_SECRET: secret,
      WEBHOOK_PRIVATE_ADDRESSES: 'allow',
    });
    afterFile(() => gateway.close());
    url = await start({}, port);
  });

  it('signs a user in through the notification channel, with the right code only', async () => {
    const visitor = createVisitor(url);
    await visitor.get('/');
    expect(await visitor.post('/sign-in', { code: '123456' })).toMatchObject({
      status: 422,
      json: { errors: { code: ['Ask for a code.'] } },
    });
    expect(await visitor.post('/code', { phone: '12' })).toMatchObject({
      status: 422,
      json: { errors: { phone: ['That is not a mobile number.'] } },
    });
    expect(await visitor.post('/code', { phone: '012-345 8201' })).toMatchObject({ json: { sent: true } });
    await expect.poll(() => gateway.codeOf('+60123458201')).toMatch(/^\d{6}$/);
    const code = gateway.codeOf('+60123458201');
    const wrong = code === '000000' ? '000001' : '000000';
    await expect
      .poll(() => visitor.post('/sign-in', { code: wrong }))
      .toMatchObject({
        status: 422,
        json: { errors: { code: [expect.stringContaining('That code is wrong.')] } },
      });
    expect((await visitor.get('/')).json).toMatchObject({ user: null });
    const before = (await visitor.get('/')).json?.['session'];
    expect(before).toMatch(/^\w{40}$/);
    expect(await visitor.post('/sign-in', { code })).toMatchObject({ json: { signedInAs: '+60123458201' } });
    const after = (await visitor.get('/')).json;
    expect(after).toMatchObject({ user: '+60123458201' });
    expect(after?.['session']).not.toBe(before);
    expect((await visitor.post('/sign-in', { code })).status).toBe(422);
  });

  it('answers malformed fields with 422', async () => {
    const visitor = createVisitor(url);
    await visitor.get('/');
    const bad = (field: string) => [
      ...[`${field}=%ff`, `${field}[]=1`, `${field}=`, { [field]: ['1'] }, { [field]: { a: 1 } }],
      ...[{ [field]: '1'.repeat(41) }, { [field]: null }],
    ];
    for (const body of bad('phone')) {
      expect([body, (await visitor.post('/code', body)).status]).toEqual([body, 422]);
    }
    expect((await visitor.post('/code', { phone: '1'.repeat(40) })).json).toMatchObject({
      errors: { phone: ['That is not a mobile number.'] },
    });
    expect((await visitor.post('/code', { phone: '012-345 8202' })).status).toBe(200);
    for (const body of [...bad('code'), { code: '1'.repeat(40) }]) {
      expect([body, await visitor.post('/sign-in', body)]).toMatchObject([
        body,
        { status: 422, json: { errors: {} } },
      ]);
    }
  });

  /** Delivers an event to the app, signed with this secret. */
  const deliver = async (reference: string, { key = secret, at = url } = {}) => {
    const body = JSON.stringify({
      ...{ type: 'otp.failed', timestamp: new Date().toISOString() },
      data: { id: 'otp_1', app: 'shop', reference, status: 'failed', failure: null },
    });
    const now = new Date();
    const headers = {
      'webhook-id': `evt_${reference}`,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
      'webhook-signature': new Webhook(key).sign(`evt_${reference}`, now, body),
    };
    return (await fetch(`${at}/hooks/otp`, { method: 'POST', headers, body })).status;
  };

  it('takes the events of the gateway, each once, and no others', async () => {
    await expect.poll(log).toContain('OTP event {"type":"otp.verified"');
    const key = `whsec_${randomBytes(32).toString('base64')}`;
    expect(await deliver('repeated-event', { key })).toBe(401);
    expect(log()).not.toContain('repeated-event');
    expect([await deliver('repeated-event'), await deliver('repeated-event')]).toEqual([204, 204]);
    expect(log().match(/repeated-event/g)).toHaveLength(1);
    expect((await fetch(`${url}/hooks/otp`, { method: 'POST', body: '{}' })).status).toBe(401);
  });

  it('takes an event again if it failed', async () => {
    writeFileSync(join(app, 'storage/broken'), '');
    expect(await deliver('failed-event')).toBe(500);
    rmSync(join(app, 'storage/broken'));
    expect([await deliver('failed-event'), await deliver('failed-event')]).toEqual([204, 204]);
    expect(log().match(/OTP event .*failed-event/g)).toHaveLength(2);
  });

  it('answers 500 to every webhook while its secret is wrong', async () => {
    const at = await start({ ISMS_OTP_WEBHOOK_SECRET: 'whsec_dG9vIHNob3J0' });
    expect(await deliver('wrong-secret', { at })).toBe(500);
    expect((await fetch(`${at}/hooks/otp`, { method: 'POST', body: '{}' })).status).toBe(500);
  });

  it('answers 503 in an outage, the only error of a sign-in that it logs', async () => {
    const visitor = createVisitor(await start({ ISMS_OTP_URL: 'http://127.0.0.1:1' }));
    await visitor.get('/');
    expect(await visitor.post('/code', { phone: '012-345 8201' })).toMatchObject({
      status: 503,
      json: { errors: { phone: ['Something went wrong. Try again in a minute.'] } },
    });
    expect(log()).toContain('network_error');
    expect(log()).not.toMatch(/incorrect_code|invalid_phone_number/);
  });

  it('logs errors without codes, keys and numbers', () => {
    expect(log()).toContain('OtpClient->send(');
    expect(log()).not.toMatch(/458201|000000|000001|whsec_\w/);
    expect(log()).not.toContain(gateway.key);
  });
});
