import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { startSentinels } from '../faults/sentinels.js';
import { account, gatewayEnvironment, runCommand, written } from '../support/processes.js';
import { startRedis } from '../support/redis-topology.js';
import { selfSigned } from '../support/self-signed.js';

const simulator = await startSimulator(account);
const directory = await mkdtemp(join(tmpdir(), 'otp-tls-'));
const authority = join(directory, 'authority.pem');
await writeFile(authority, selfSigned.cert);
afterAll(async () => {
  await simulator.close();
  await rm(directory, { recursive: true });
});

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const key = 'a-key-of-24-characters-or-more';

/** An API and a worker process with this Redis; the API and its URL. */
async function startGateway(redisUrl: string, more: Record<string, string>) {
  const env = { ...gatewayEnvironment(redisUrl, simulator), LOG_LEVEL: 'info', ...more };
  const api = runCommand('api', { ...env, API_KEYS: `shop:${key}`, PORT: '0' });
  const worker = runCommand('worker', env);
  cleanups.push(() => Promise.all([api.end(), worker.end()]));
  const [, url = ''] = await written(api, /"url":"([^"]+)"/);
  return { api, url };
}

const topologies = [
  [
    'rediss://',
    async () => {
      const redis = await startRedis({ tls: true, cluster: false });
      cleanups.push(() => redis.stop());
      return redis.url;
    },
  ],
  [
    'rediss+cluster://',
    async () => {
      const redis = await startRedis({ tls: true, cluster: true });
      cleanups.push(() => redis.stop());
      return redis.url;
    },
  ],
  [
    'rediss+sentinel://',
    async () => {
      const redis = await startRedis({ tls: true, cluster: false });
      cleanups.push(() => redis.stop());
      const sentinels = await startSentinels(redis.servers[0], { maxResendsAfterUnknown: 1 });
      cleanups.push(() => sentinels.stop());
      return sentinels.url;
    },
  ],
] as const;

describe.each(topologies)('%s', (scheme, start) => {
  it('sends an OTP over connections that are encrypted and whose server is known', async () => {
    const redisUrl = await start();
    expect(redisUrl.startsWith(scheme)).toBe(true);
    const { url } = await startGateway(redisUrl, { NODE_EXTRA_CA_CERTS: authority });
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(200);
    const asked = { method: 'POST', headers: { ...headers, Prefer: 'wait=10' } };
    const reply = await fetch(`${url}/v1/otps`, { ...asked, body: JSON.stringify({ to: '0123456789' }) });
    expect(await reply.json()).toMatchObject({ status: 'sent' });
  });

  it('does not talk to a server that no authority vouches for', async () => {
    const { api, url } = await startGateway(await start(), {});
    await written(api, /redis\.error/);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
  });
});
