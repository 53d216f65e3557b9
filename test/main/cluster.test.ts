import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, expect, it } from 'vitest';
import { account, gatewayEnvironment, runCommand, written } from '../support/processes.js';
import { startRedis } from '../support/redis-topology.js';

const cluster = await startRedis({ cluster: true });
const simulator = await startSimulator(account);
const key = 'a-key-of-24-characters-or-more';
const env = {
  ...gatewayEnvironment(cluster.url, simulator),
  API_KEYS: `shop:${key}`,
  PORT: '0',
  QUEUE_SHARDS: '6',
  LOG_LEVEL: 'info',
};
const api = runCommand('api', env);
const workers = [
  runCommand('worker', { ...env, WORKER_SHARDS: '0-2' }),
  runCommand('worker', { ...env, WORKER_SHARDS: '3-5' }),
];
afterAll(async () => {
  await Promise.all([api, ...workers].map((running) => running.end()));
  await simulator.close();
  await cluster.stop();
});

it('API and workers run on a Redis Cluster, each worker on its shards: every OTP goes out once', async () => {
  const [, url] = await written(api, /"url":"([^"]+)"/);
  for (const worker of workers) {
    await written(worker, /worker\.started/);
    expect(worker.output).not.toMatch(/redis\.(lossy|stops_whole|shards_uneven)/);
  }
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    return (await response.json()) as Record<string, never>;
  };
  const otps = Array.from({ length: 300 }, (_, i) => ({ to: `0123${String(i).padStart(6, '0')}` }));
  const { batchId, accepted } = await call('POST', '/v1/otps/bulk', { otps });
  expect(accepted).toBe(300);
  const single = await call('POST', '/v1/otps', { to: '0198765432' });
  const counts = async () => (await call('GET', `/v1/batches/${batchId}`))['counts'];
  await expect.poll(counts).toMatchObject({ sent: 300, queued: 0 });
  expect(await call('GET', `/v1/otps/${single['id']}`)).toMatchObject({ status: 'sent' });
  const calls = otps.map(({ to }) => simulator.state.number(`+6${to}`).sms);
  expect(calls).toEqual(Array(300).fill(1));
});
