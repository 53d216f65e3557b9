import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { failureNumbers } from 'isms-2fa-simulator';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBrowser } from '../support/browser.js';
import { afterFile } from '../support/clean-up.js';
import { type FullGateway, startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { freePort } from '../support/redis-server.js';
import { startPhpServer } from './php/php-server.js';
import { phpOptions } from './php/run-php.js';

const files = readdirSync('clients/php', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.php'))
  .map((path) => join('clients/php', path));

it('every file of the PHP client and its examples compiles', () => {
  expect(files.length).toBeGreaterThan(20);
  for (const file of files) {
    const { status, stdout, stderr } = spawnSync('php', [...phpOptions, '-l', file], { encoding: 'utf8' });
    expect([file, status, stderr], stdout).toEqual([file, 0, '']);
  }
});

it('Composer accepts the package and loads its classes', () => {
  const app = mkdtempSync(join(tmpdir(), 'php-app-'));
  afterFile(() => rmSync(app, { recursive: true }));
  const composer = (...args: string[]) => {
    const env = { PATH: process.env['PATH'], HOME: app, COMPOSER_ALLOW_SUPERUSER: '1' };
    return spawnSync('composer', [...args, '--no-interaction'], { cwd: app, env, encoding: 'utf8' });
  };
  const valid = composer('validate', '--strict', '--no-check-version', resolve('clients/php/composer.json'));
  expect(valid.status, valid.stdout + valid.stderr).toBe(0);
  const path = { type: 'path', url: resolve('clients/php'), options: { symlink: false } };
  const json = { repositories: [path, { 'packagist.org': false }], require: { 'isms-otp/client': '*@dev' } };
  writeFileSync(join(app, 'composer.json'), JSON.stringify(json));
  const installed = composer('install');
  expect(installed.status, installed.stderr).toBe(0);
  const code =
    "require 'vendor/autoload.php'; echo (new IsmsOtp\\OtpError('timeout', 'Late.'))->getMessage();";
  expect(spawnSync('php', ['-r', code], { cwd: app, encoding: 'utf8' }).stdout).toBe('timeout: Late.');
});

describe('clients/php/examples/plain-login', () => {
  const script = 'clients/php/examples/plain-login/index.php';
  let gateway: FullGateway;
  const start = async (env: Record<string, string> = {}) =>
    await startPhpServer(script, {
      port: await freePort(),
      env: { OTP_URL: gateway.url, OTP_KEY: gateway.key, ...env },
    });
  let url = '';
  beforeAll(async () => {
    await connect();
    gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
    afterFile(() => gateway.close());
    url = await start();
  });

  /** Posts a form; `Origin` is the app's unless the headers say otherwise. */
  const post = async (path: string, body: string, { at = url, ...headers }: Record<string, string> = {}) => {
    const response = await fetch(at + path, {
      ...{ method: 'POST', redirect: 'manual', body },
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: at, ...headers },
    });
    const [cookie = ''] = response.headers.getSetCookie().slice(-1);
    return { status: response.status, text: await response.text(), cookie };
  };

  it('answers malformed fields with 422', async () => {
    for (const body of ['phone=%ff', 'phone[]=0123458102', 'phone=', '', `phone=${'1'.repeat(5_000)}`]) {
      const { status, text } = await post('/code', body);
      expect([body, status, text]).toEqual([
        body,
        422,
        expect.stringContaining('That is not a mobile number.'),
      ]);
    }
    const { cookie: Cookie } = await post('/code', 'phone=012-345 8103');
    for (const body of ['code=%ff', 'code[]=123456', 'code=', '', 'code=12%0034']) {
      const { status, text } = await post('/sign-in', body, { Cookie });
      expect([body, status, text]).toEqual([body, 422, expect.stringContaining('A code has six digits.')]);
    }
  });

  it('refuses forms of other sites, by Sec-Fetch-Site or else by Origin', async () => {
    const status = async (headers: Record<string, string>) => (await post('/sign-out', '', headers)).status;
    expect(await status({})).toBe(303);
    expect(await status({ Origin: url.replace('http:', 'https:') })).toBe(303);
    expect(await status({ 'Sec-Fetch-Site': 'same-origin', Origin: 'null' })).toBe(303);
    for (const Origin of ['null', '', 'http://other.example', 'http://127.0.0.1:1', `${url}.other.example`]) {
      expect([Origin, await status({ Origin })]).toEqual([Origin, 403]);
    }
    const response = await fetch(`${url}/sign-out`, { method: 'POST', redirect: 'manual' });
    expect(response.status).toBe(403);
    for (const site of ['cross-site', 'same-site'])
      expect(await status({ 'Sec-Fetch-Site': site })).toBe(403);
  });

  it('answers in its own words when an OTP failed, and with 503 in an outage', async () => {
    const refused = await post('/code', `phone=${encodeURIComponent(failureNumbers.invalid_number)}`);
    expect(refused.status).toBe(422);
    expect(refused.text).toContain('That number cannot receive SMS.');
    const gone = await post('/code', 'phone=012-345 8104', {
      at: await start({ OTP_URL: 'http://127.0.0.1:1' }),
    });
    expect(gone.status).toBe(503);
    expect(gone.text).toContain('Something went wrong. Try again in a minute.');
  });

  it('keeps its cookie from plain HTTP, except under php -S', async () => {
    expect((await post('/sign-out', '')).cookie).not.toMatch(/secure/i);
    const at = await start({ COOKIE_SECURE: 'on' });
    expect((await post('/sign-out', '', { at })).cookie).toMatch(/; secure; HttpOnly/i);
    const isSecure = (env: Record<string, string>) =>
      spawnSync(
        'php',
        [
          ...phpOptions,
          '-r',
          `
        $_SERVER = ['REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/'];
        ob_start();
        require '${script}';
        ob_end_clean();
        echo json_encode(session_get_cookie_params()['secure']);`,
        ],
        {
          env: { PATH: process.env['PATH'], OTP_KEY: 'no-key', ...env },
          encoding: 'utf8',
        },
      ).stdout;
    expect(isSecure({})).toBe('true');
    expect(isSecure({ COOKIE_SECURE: 'off' })).toBe('false');
  });

  it('signs a user in with the right code in a browser, and with no wrong one', async () => {
    const browser = await startBrowser();
    afterFile(() => browser.close());
    const page = await browser.newPage();
    const text = () => page.locator('body').textContent();
    const session = async () => (await page.context().cookies())[0]?.value;
    await page.goto(`${url}/code`);
    expect(await text()).toContain('Mobile number');
    await page.fill('#phone', '12');
    await page.click('button');
    expect(await text()).toContain('That is not a mobile number.');
    await page.fill('#phone', '012-345 8101');
    await page.click('button');
    await page.waitForURL(/\/code$/);
    const code = gateway.codeOf('+60123458101');
    await page.fill('#code', code === '000000' ? '000001' : '000000');
    await page.click('button');
    expect(await text()).toContain('That code is wrong. Attempts left: 4.');
    const before = await session();
    await page.fill('#code', `${code.slice(0, 3)} ${code.slice(3)}`);
    await page.click('button');
    expect(await text()).toContain('You are signed in as +60123458101.');
    expect(await session()).not.toBe(before);
    await page.click('button');
    expect(await text()).toContain('Mobile number');
  });
});
