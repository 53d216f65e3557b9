import { afterEach, expect, it } from 'vitest';
import { faultRow, full } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { gatewayEnvironment, runCommand } from '../support/processes.js';
import { countByStatus, type Fleet, nthNumber, providerSaw, startFleet } from './fleet.js';
import { type Sentinels, startSentinels } from './sentinels.js';

const minutes = (n: number) => n * 60_000;
const env = { ISMS_SEND_TIMEOUT_MS: '4000', WORKER_CONCURRENCY: '20', MAX_RESENDS_AFTER_UNKNOWN: '0' };

let fleet: Fleet;
let sentinels: Sentinels;
afterEach(async () => {
  await fleet.close();
  await sentinels.stop();
});

it('API and worker follow a failover that Sentinel tells of at once, while its replies take 900 ms', {
  timeout: minutes(2),
}, async () => {
  fleet = await startFleet(env, { cluster: false });
  fleet.simulator.state.change({ latencyMs: 100 });
  sentinels = await startSentinels(fleet.redis.servers[0], { repliesTakeMs: 900 });
  const api = await fleet.startApi(sentinels.url);
  const enqueued = await fleet.enqueue(full ? 5_000 : 500);
  fleet.workers.push(runCommand('worker', { ...gatewayEnvironment(sentinels.url, fleet.simulator), ...env }));
  while (fleet.simulator.state.calls.send < 100) await sleep(5);
  await sentinels.replicated();
  const killedAt = Date.now();
  await fleet.redis.kill();
  const send = () => api.post({ to: nthNumber(900_000).e164 }, 'after-failover');
  while (!(await send()).ok) await sleep(100);
  const acceptingAgainAfterMs = Date.now() - killedAt;
  const otps = await sentinels.settled(enqueued, minutes(1));
  const saw = { ...countByStatus(otps), ...providerSaw(fleet, otps) };
  faultRow(
    'the master killed, Sentinel’s replies take 900 ms and its events none, MAX_RESENDS_AFTER_UNKNOWN=0',
    { acceptingAgainAfterMs, ...saw },
    'S11',
  );
  expect(fleet.workers.map(({ child }) => child.exitCode)).toEqual([null, null]);
  expect(saw).toMatchObject({ duplicates: 0, mostCalls: 1 });
});
