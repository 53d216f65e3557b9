import { spawn } from 'node:child_process';
import { failureNumbers } from 'isms-2fa-simulator';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startBrowser } from '../support/browser.js';
import { startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { freePort } from '../support/redis-server.js';

await connect();
const gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
const stops: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of stops) stop();
  await gateway.close();
});

/** Runs an example against the gateway; resolves with its address. */
async function startExample(name: string): Promise<string> {
  const port = await freePort();
  const child = spawn(process.execPath, [`docs/examples/${name}/server.js`], {
    env: { PATH: process.env['PATH'], OTP_URL: gateway.url, OTP_KEY: gateway.key, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stops.push(() => child.kill());
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return `http://127.0.0.1:${port}`;
}

const codeOf = (to: string) => gateway.simulator.lastCode(to) ?? '';
const wrong = (code: string) => (code === '000000' ? '000001' : '000000');

describe('docs/examples/express-login', () => {
  it('signs a user in with the right code in a browser, and with no wrong one', {
    timeout: 60_000,
  }, async () => {
    const url = await startExample('express-login');
    const browser = await startBrowser();
    stops.push(() => browser.close());
    const page = await browser.newPage();
    const text = () => page.locator('body').textContent();
    const form = { method: 'POST', body: new URLSearchParams({ phone: '12' }) };
    for (const headers of [{}, { Origin: 'https://other.example' }]) {
      expect((await fetch(`${url}/code`, { ...form, headers })).status).toBe(403);
    }
    await page.goto(url);
    await page.fill('#phone', '12');
    await page.click('button');
    expect(await text()).toContain('That is not a mobile number.');
    await page.fill('#phone', failureNumbers.invalid_number);
    await page.click('button');
    expect(await text()).toContain('That number cannot receive SMS.');
    await page.fill('#phone', '012-345 6701');
    await page.click('button');
    await page.waitForURL(/\/code$/);
    const code = codeOf('+60123456701');
    await page.fill('#code', wrong(code));
    await page.click('button');
    expect(await text()).toContain('That code is wrong.');
    const before = (await page.context().cookies())[0]?.value;
    await page.fill('#code', code);
    await page.click('button');
    expect(await text()).toContain('You are signed in as +60123456701.');
    expect((await page.context().cookies())[0]?.value).not.toBe(before);
    await page.click('button');
    expect(await text()).toContain('Mobile number');
  });
});

describe('docs/examples/better-auth', () => {
  let url = '';
  beforeAll(async () => {
    url = await startExample('better-auth');
    await vi.waitUntil(() => fetch(url).catch(() => null), { timeout: 20_000, interval: 100 });
  });
  const post = async (path: string, body: object) => {
    const response = await fetch(`${url}/api/auth/phone-number/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Origin: url },
      body: JSON.stringify(body),
    });
    const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    return { status: response.status, body: answer };
  };

  it('signs a person in with the code that iSMS made, once', async () => {
    const phoneNumber = '+60123456702';
    const settled = () => gateway.worker.output.match(/otp\.send_settled/g)?.length ?? 0;
    const before = settled();
    expect((await post('send-otp', { phoneNumber })).status).toBe(200);
    await expect.poll(settled).toBeGreaterThan(before);
    const code = codeOf(phoneNumber);
    expect(await post('verify', { phoneNumber, code: wrong(code) })).toMatchObject({
      status: 400,
      body: { code: 'INVALID_OTP' },
    });
    expect(await post('verify', { phoneNumber, code })).toMatchObject({
      status: 200,
      body: { status: true, token: expect.any(String), user: { phoneNumber, phoneNumberVerified: true } },
    });
    expect((await post('verify', { phoneNumber, code })).status).toBe(400);
  });

  it('lets a code that signs in change no password', async () => {
    const phoneNumber = '+60123456703';
    await post('send-otp', { phoneNumber });
    await expect.poll(() => gateway.simulator.lastCode(phoneNumber)).toBeDefined();
    const otp = codeOf(phoneNumber);
    expect((await post('reset-password', { phoneNumber, otp, newPassword: 'a-new-password' })).status).toBe(
      404,
    );
  });

  it('tells what the gateway refuses', async () => {
    const refused = await post('send-otp', { phoneNumber: '+6012' });
    expect(refused).toMatchObject({ status: 400, body: { code: 'INVALID_PHONE_NUMBER' } });
    const landline = await post('send-otp', { phoneNumber: '+60312345678' });
    expect(landline).toMatchObject({ status: 400, body: { code: 'INVALID_PHONE_NUMBER' } });
  });
});
