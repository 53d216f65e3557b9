import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type GatewayProcess, runCommand, written } from '../support/processes.js';

const directory = mkdtempSync(join(tmpdir(), 'otp-start-'));
const processes: GatewayProcess[] = [];

afterAll(async () => {
  await Promise.all(processes.map((one) => one.end('SIGTERM')));
  rmSync(directory, { recursive: true, force: true });
});

async function start() {
  const running = runCommand('start', { PORT: '0', LOG_LEVEL: 'warn' }, directory);
  processes.push(running);
  await written(running, /Ctrl-C/);
  const [, url = '', key = '', inbox = ''] =
    /API {9}(\S+)[\s\S]*API key {5}(\S+)[\s\S]*SMS inbox {3}(\S+)/.exec(running.output) ?? [];
  const call = async (path: string, body?: object) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', prefer: 'wait=10' };
    const init = body ? { method: 'POST', body: JSON.stringify(body) } : {};
    const response = await fetch(url + path, { ...init, headers });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  return { running, call, url, key, inbox };
}

it('npm start sends and verifies an OTP, ends on Ctrl-C, and still knows it after a restart', {
  timeout: 60_000,
}, async () => {
  const { running, call, url, key, inbox } = await start();
  const startPage = await (await fetch(url)).text();
  expect(startPage).toContain(key);
  expect(startPage).toContain(inbox);
  const sent = await call('/v1/otps', { to: '012-345 6789' });
  expect(sent).toMatchObject({ status: 200, body: { status: 'sent', to: '+60123456789' } });
  const { id } = sent.body;
  const { messages } = (await (await fetch(`${inbox}/inbox.json?limit=1`)).json()) as {
    messages: { code: string }[];
  };
  const code = messages[0]?.code ?? '';

  const wrong = code === '000000' ? '000001' : '000000';
  expect(await call(`/v1/otps/${id}/verify`, { code: wrong })).toMatchObject({
    status: 422,
    body: { code: 'incorrect_code', attemptsRemaining: 4 },
  });
  expect(await call(`/v1/otps/${id}/verify`, { code })).toMatchObject({
    status: 200,
    body: { status: 'verified' },
  });
  expect(await call(`/v1/otps/${id}/verify`, { code })).toMatchObject({
    status: 409,
    body: { code: 'already_verified' },
  });
  expect(running.output).not.toContain(code);

  expect(await running.end('SIGINT')).toBe(0);
  const again = await start();
  expect(await again.call(`/v1/otps/${id}`)).toMatchObject({ status: 200, body: { status: 'verified' } });
});

it('refuses to run twice on the same data', async () => {
  const second = runCommand('start', { PORT: '0' }, directory);
  const [code] = await once(second.child, 'close');
  expect(code).toBe(1);
  expect(second.output).toMatch(/already running/);
});

it('names the port of the simulator when that is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const inboxPort = (server.address() as AddressInfo).port;
  const elsewhere = mkdtempSync(join(tmpdir(), 'otp-start-'));
  const running = runCommand('start', { PORT: String(inboxPort - 1) }, elsewhere);
  const [code] = await once(running.child, 'close');
  server.close();
  rmSync(elsewhere, { recursive: true });
  expect(code).toBe(1);
  expect(running.output).toContain(`Port ${inboxPort}, for the simulator's inbox (PORT + 1), is taken`);
});

it('takes over after a run that was killed, Redis left behind and all', { timeout: 30_000 }, async () => {
  await processes.at(-1)?.end('SIGKILL');
  const { call } = await start();
  expect(await call('/v1/balance')).toMatchObject({ status: 200 });
});

it('keeps its secrets readable by their owner alone', () => {
  expect(statSync(join(directory, '.data/secrets.json')).mode & 0o077).toBe(0);
});
