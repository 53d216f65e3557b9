import { readFileSync } from 'node:fs';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, describe, expect, it } from 'vitest';
import { faultRow, full } from '../../support/fault-table.js';
import { hostilities, startHostileApp } from '../../support/hostile-app.js';
import { sleep } from '../../support/otps.js';
import { account, gatewayEnvironment, runCommand, written } from '../../support/processes.js';
import { databaseUrl } from '../../support/redis.js';
import { bankKey, shopKey } from '../gateway.js';

/** Requests of each kind that the other app makes meanwhile. */
const requests = full ? 100 : 5;
const promised = { livezMs: 500, sendMs: 1_000, memoryMb: 225 };

/** A small container's heap, which others contain. How much the memory of those grows, the bench measures. */
const heapMb = 256;
const simulator = await startSimulator(account);
const environment = gatewayEnvironment(databaseUrl(), simulator);
// What waits without a worker for long is refused as overload.
const worker = runCommand('worker', environment);
const api = runCommand('api', {
  ...environment,
  API_KEYS: `shop:${shopKey},bank:${bankKey}`,
  PORT: '0',
  LOG_LEVEL: 'info',
  NODE_OPTIONS: `--max-old-space-size=${heapMb}`,
});
afterAll(async () => {
  await Promise.all([api.end(), worker.end()]);
  await simulator.close();
});
const [, url = ''] = await written(api, /"url":"([^"]+)"/);
while (!(await fetch(`${url}/readyz`)).ok) await sleep(50);
const proc = `/proc/${api.child.pid}`;

/** CPU time of the API's own thread, in ms: what it does before an answer, however busy the machine is. */
const cpuMs = () => Number(readFileSync(`${proc}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
/** The most memory that the API has had so far. */
const peakMb = () => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1]) / 1_024;

let number = 1_000_000;
const livez = () => fetch(`${url}/livez`);
const send = () =>
  fetch(`${url}/v1/otps`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${bankKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ to: `+6013${number++}` }),
  });

/** What the API worked at most, and how long it took at most, until it answered one of these. */
async function worst(call: () => Promise<Response>, status: number) {
  const found = { cpuMs: 0, ms: 0 };
  for (let n = 0; n < requests; n++) {
    const [cpuBefore, before] = [cpuMs(), performance.now()];
    const response = await call();
    await response.text();
    expect(response.status).toBe(status);
    found.cpuMs = Math.max(found.cpuMs, cpuMs() - cpuBefore);
    found.ms = Math.max(found.ms, performance.now() - before);
  }
  return found;
}

const found = { slowestLivezMs: 0, slowestSendMs: 0, memoryGrowthMb: 0 };
let memoryBefore: number | undefined;

describe('while one app uploads at full speed, others are served', () => {
  it.each(hostilities)('%s', { timeout: 120_000 }, async (kind) => {
    await worst(send, 202);
    memoryBefore ??= peakMb();
    const hostile = startHostileApp(url, { key: shopKey, kind });
    const ofLivez = await worst(livez, 200);
    const ofSend = await worst(send, 202);
    // Garbage takes seconds to pile up.
    if (full) await sleep(5_000);
    hostile.stop();
    found.slowestLivezMs = Math.max(found.slowestLivezMs, Math.round(ofLivez.ms));
    found.slowestSendMs = Math.max(found.slowestSendMs, Math.round(ofSend.ms));
    found.memoryGrowthMb = Math.round(peakMb() - memoryBefore);
    expect(hostile.sentBytes).toBeGreaterThan(0);
    expect(ofLivez.cpuMs).toBeLessThan(promised.livezMs);
    expect(ofSend.cpuMs).toBeLessThan(promised.sendMs);
    expect(found.memoryGrowthMb).toBeLessThan(promised.memoryMb);
  });

  it('and the API still runs', async () => {
    faultRow(
      `an app that uploads junk at full speed, over three connections, or twenty if refused at once; the API's heap ${heapMb} MB`,
      found,
      'I1',
    );
    expect((await livez()).status).toBe(200);
  });
});
