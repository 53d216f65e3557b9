import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type GatewayProcess, runCommand, written } from '../support/processes.js';
import { freePort } from '../support/redis-server.js';

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

it('names each port that is taken, with its use and its setting, before it starts anything', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'otp-start-'));
  const servers: Server[] = [];
  const take = async (port: number) => {
    const server = createServer().listen(port, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
  };
  const refused = async (apiPort: number) => {
    const running = runCommand('start', { PORT: String(apiPort) }, elsewhere);
    expect(await once(running.child, 'close')).toEqual([1, null]);
    return running.output;
  };
  const port = await freePort(2);
  await take(port);
  const [api, inbox] = ['the API (PORT)', "the simulator's inbox (PORT + 1)"];
  const ofInbox = (taken: number) => `Port ${taken}, for ${inbox}, is taken by another process.\n`;
  const advice = 'Set PORT so that it and the next one are free.\n';
  expect(await refused(port - 1)).toContain(`${ofInbox(port)}${advice}`);
  await take(port + 1);
  expect(await refused(port)).toBe(
    `Port ${port}, for ${api}, is taken by another process.\n${ofInbox(port + 1)}${advice}`,
  );
  expect(existsSync(join(elsewhere, '.data/redis'))).toBe(false);
  for (const server of servers) server.close();
  rmSync(elsewhere, { recursive: true });
});

it('doctor checks the Redis, the simulator and the API of a running npm start', async () => {
  const doctor = runCommand(['doctor', '--json'], {}, directory);
  expect(await once(doctor.child, 'close')).toEqual([0, null]);
  const found = doctor.output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { check: string; level: string; text: string });
  expect(found.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(found.map(({ check }) => check)).toEqual(expect.arrayContaining(['redis', 'isms', 'api']));
  expect(found.find(({ check }) => check === 'settings')?.text).toMatch(
    /npm start runs here \(process \d+\)/,
  );
});

it('takes over after a run that was killed, Redis left behind and all', { timeout: 30_000 }, async () => {
  await processes.at(-1)?.end('SIGKILL');
  const { call } = await start();
  expect(await call('/v1/balance')).toMatchObject({ status: 200 });
});

it('keeps its secrets readable by their owner alone', () => {
  for (const file of ['secrets.json', 'start.json']) {
    expect(statSync(join(directory, '.data', file)).mode & 0o077).toBe(0);
  }
});
