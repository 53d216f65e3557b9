import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, expect, it } from 'vitest';
import { account, gatewayEnvironment, runCommand, written } from '../../support/processes.js';
import { startRedis } from '../../support/redis-topology.js';
import { admin } from '../gateway.js';

const simulator = await startSimulator(account);
const cluster = await startRedis({ cluster: true });
const api = runCommand('api', {
  ...gatewayEnvironment(cluster.url, simulator),
  ...{ API_KEYS: 'shop:a-key-of-24-characters-or-more', QUEUE_SHARDS: '6' },
  ...{ PORT: '0', LOG_LEVEL: 'info', ADMIN_USERNAME: admin.username, ADMIN_PASSWORD: admin.password },
});
afterAll(async () => {
  await api.end();
  await cluster.stop();
  await simulator.close();
});

it('the overview shows the rest while a master of a cluster is away, whichever it is', async () => {
  const [, url] = await written(api, /"url":"([^"]+)"/);
  const headers = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
  const overview = async () => {
    const reply = await fetch(`${url}/admin/overview.json`, { headers });
    const { alarms } = (await reply.json()) as { alarms?: { text: string }[] };
    return alarms?.map(({ text }) => text.split(':')[0]) ?? reply.status;
  };
  const missing = 'Could not be read, so missing here';
  const whole = ['The balance has not been read yet.'];
  await expect.poll(overview).toEqual(whole);
  const found = [];
  for (const master of cluster.servers) {
    await master.kill();
    found.push(await overview());
    await master.restart();
    await expect.poll(overview).toEqual(whole);
  }
  // One master has nothing that the page of an unused gateway needs.
  expect(found.flat()).toContain(missing);
  for (const alarms of found) expect(alarms).toBeInstanceOf(Array);
});
