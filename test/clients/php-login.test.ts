import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startBrowser } from '../support/browser.js';
import { afterFile } from '../support/clean-up.js';
import { startFullGateway } from '../support/full-gateway.js';
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
  it('signs a user in with the right code in a browser, and with no wrong one', async () => {
    await connect();
    const gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
    afterFile(() => gateway.close());
    const url = await startPhpServer('clients/php/examples/plain-login/index.php', {
      port: await freePort(),
      env: { OTP_URL: gateway.url, OTP_KEY: gateway.key },
    });
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
