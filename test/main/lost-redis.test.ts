import { pathToFileURL } from 'node:url';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, expect, it } from 'vitest';
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
