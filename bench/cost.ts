import { pino } from 'pino';
import { loadConfig } from '../src/config/load-config.js';
import { storeOf } from '../src/main/composition.js';
import { connectForWork } from '../src/main/redis.js';
import { gatewayEnvironment, runCommand, written } from '../test/support/processes.js';
import { startRedis } from '../test/support/redis-topology.js';
import { inBatches } from './support/batches.js';
import { cpuTimeUs } from './support/cpu-time.js';
import { type Call, drive } from './support/drive.js';
import { message } from './support/gateway.js';
import { apiKey, app } from './support/gateway-processes.js';
import { killAtExit } from './support/kill.js';
import { nthNational } from './support/numbers.js';
import { startProvider } from './support/provider-process.js';
import { sentOtp } from './support/sent-otp.js';
import { median } from './support/statistics.js';
import { uploads } from './support/upload.js';

/*
 * `npm run bench:cost`: how much CPU each process takes for one OTP, on one Redis and on a cluster of three masters. What
 * docs/scaling.md reckons with.
 */

const rounds = 3;
/** How many each step makes; all that are accepted are sent. */
const counts = { single: 6_000, bulk: 20_000, send: 26_000, verify: 6_000 };
const connections = 256;

type Step = keyof typeof counts;

/** CPU time in µs for one OTP: of the API or worker process, of all of Redis, and of its busiest server. */
interface Cost {
  gateway: number;
  redis: number;
  busiest: number;
}

/** What the steps of OTPs' lives cost, one after the other, on processes and a Redis of their own. */
async function measure(cluster: boolean): Promise<Record<Step, Cost>> {
  const redis = await startRedis({ cluster });
  const provider = await startProvider();
  const env = {
    ...gatewayEnvironment(redis.url, provider),
    QUEUE_SHARDS: cluster ? '6' : '1',
    LOG_LEVEL: 'info',
  };
  const api = runCommand('api', { ...env, API_KEYS: `${app}:${apiKey}`, PORT: '0' });
  const worker = runCommand('worker', { ...env, WORKER_CONCURRENCY: '200' });
  for (const { child } of [api, worker]) killAtExit(child);
  const [, url = ''] = await written(api, /"url":"([^"]+)"/);
  await written(worker, /worker\.started/);
  const client = connectForWork(redis.url);
  const store = storeOf(client, loadConfig(env, 'worker'), pino({ enabled: false }));
  // The worker is stopped, so that admission would soon refuse what cannot be sent in time.
  const keepUp = setInterval(() => void store.load.addDone(5_000), 500);
  const pids = { api: api.child.pid ?? 0, worker: worker.child.pid ?? 0 };

  const costOf = async (count: number, pid: number, work: () => Promise<unknown>): Promise<Cost> => {
    const all = [pid, ...redis.servers.map((server) => server.pid)];
    const before = all.map(cpuTimeUs);
    await work();
    const [gateway = 0, ...servers] = all.map((one, i) => (cpuTimeUs(one) - (before[i] ?? 0)) / count);
    return { gateway, redis: servers.reduce((sum, one) => sum + one, 0), busiest: Math.max(...servers) };
  };
  const calls = (count: number, from: number): Call[] =>
    Array.from({ length: count }, (_, n) => ({
      path: '/v1/otps',
      body: JSON.stringify({ to: `+60${nthNational(from + n)}`, message }),
    }));
  const pass = async (from: number): Promise<Record<Step, Cost>> => {
    worker.signal('SIGSTOP');
    const singles = calls(counts.single, from);
    const single = await costOf(counts.single, pids.api, () =>
      drive(url, singles, { connections, status: 202 }),
    );
    const bodies = uploads(counts.bulk, from + counts.single);
    const bulks = bodies.map(({ body }) => ({ path: '/v1/otps/bulk', body }));
    const bulk = await costOf(counts.bulk, pids.api, () =>
      drive(url, bulks, { connections: 1, status: 202 }),
    );
    await provider.reset(20);
    worker.signal('SIGCONT');
    const send = await costOf(counts.send, pids.worker, () => provider.sent(counts.send));
    const ids = await inBatches(counts.verify, (n) => sentOtp(store, 500_000 + from + n));
    const codes = ids.map((id) => ({ path: `/v1/otps/${id}/verify`, body: '{"code":"123456"}' }));
    const verify = await costOf(counts.verify, pids.api, () =>
      drive(url, codes, { connections, status: 200 }),
    );
    return { single, bulk, send, verify };
  };
  try {
    // Processes that have just started are slow, and ours run for weeks.
    await pass(0);
    return await pass(100_000);
  } finally {
    clearInterval(keepUp);
    client.disconnect();
    await Promise.all([api.end(), worker.end(), provider.end()]);
    await redis.stop();
  }
}

const us = (costs: readonly Cost[], part: keyof Cost) => Math.round(median(costs.map((cost) => cost[part])));

const one: Record<Step, Cost>[] = [];
const three: Record<Step, Cost>[] = [];
for (let round = 0; round < rounds; round++) {
  one.push(await measure(false));
  three.push(await measure(true));
}
const lines = (Object.keys(counts) as Step[]).map((step) => {
  const [alone, clustered] = [one.map((costs) => costs[step]), three.map((costs) => costs[step])];
  return [
    step,
    us(alone, 'gateway'),
    us(alone, 'redis'),
    us(clustered, 'gateway'),
    us(clustered, 'redis'),
    us(clustered, 'busiest'),
  ];
});
const head = [
  'µs of CPU for one OTP',
  'process',
  'Redis',
  'process, cluster',
  'three masters',
  'busiest master',
];
for (const cells of [head, head.map(() => '---'), ...lines])
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
