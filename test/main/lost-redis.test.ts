import { pathToFileURL } from 'node:url';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, expect, it } from 'vitest';
import { startTcpProxy } from '../faults/tcp-proxy.js';
import { admitted, testStore } from '../support/otps.js';
import { account, gatewayEnvironment, runCommand, written } from '../support/processes.js';
import { connectTo } from '../support/redis.js';
import { startRedis } from '../support/redis-topology.js';

const redis = await startRedis({ cluster: false });
const simulator = await startSimulator(account);
afterAll(() => Promise.all([redis.stop(), simulator.close()]));

it.each(['api', 'worker'])(
  '%s ends with code 1 and one line when its connection to Redis ends for good',
  async (command) => {
    const running = runCommand(command, {
      ...gatewayEnvironment(redis.url, simulator),
      API_KEYS: 'shop:a-key-of-24-characters-or-more',
      PORT: '0',
      LOG_LEVEL: 'info',
      NODE_OPTIONS: `--import ${pathToFileURL('test/support/end-connections.mjs')}`,
    });
    await written(running, new RegExp(`"${command}.started"`));
    expect(await running.end('SIGUSR2')).toBe(1);
    expect(running.output.match(/redis\.connection_ended/g)).toHaveLength(1);
  },
);

it('API and worker connect anew when their connections to Redis fall silent, and send', {
  timeout: 120_000,
}, async () => {
  const proxy = await startTcpProxy(Number(new URL(redis.url).port));
  const url = new URL(redis.url);
  url.port = String(proxy.port);
  const key = 'a-key-of-24-characters-or-more';
  const environment = {
    ...gatewayEnvironment(url.href, simulator),
    API_KEYS: `shop:${key}`,
    PORT: '0',
    LOG_LEVEL: 'info',
  };
  const [api, worker] = [runCommand('api', environment), runCommand('worker', environment)];
  const [, address = ''] = await written(api, /"url":"([^"]+)"/);
  await written(worker, /worker\.started/);
  const send = async (to: string) => {
    const body = JSON.stringify({ to });
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
    return (await fetch(`${address}/v1/otps`, { method: 'POST', headers, body })).status;
  };
  const isSent = (to: string) => simulator.state.number(to).calls === 1;
  await expect.poll(() => send('+60123456701'), { timeout: 20_000 }).toBe(202);
  await expect.poll(() => isSent('+60123456701'), { timeout: 20_000 }).toBe(true);
  proxy.swallow();
  await expect.poll(() => send('+60123456702'), { timeout: 20_000 }).toBe(202);
  await expect.poll(() => isSent('+60123456702'), { timeout: 40_000 }).toBe(true);
  await Promise.all([api.end(), worker.end()]);
  // What is expected of Redis is no bug.
  expect(`${api.output}${worker.output}`).not.toMatch(/queue\.error.*Socket timeout/);
  await proxy.close();
});

it('worker warns when its Redis is emptied', async () => {
  const client = await connectTo(redis.url);
  await admitted(testStore(client));
  const worker = runCommand('worker', { ...gatewayEnvironment(redis.url, simulator), LOG_LEVEL: 'info' });
  await written(worker, /worker\.started/);
  await client.flushdb();
  await written(worker, /redis\.emptied/);
  client.disconnect();
  await worker.end();
});
