import { afterEach, describe, expect, it } from 'vitest';
import { faultRow, full, promisedMs } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { countByStatus, type Fleet, providerSaw, startFleet } from './fleet.js';

const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

describe('two workers', { timeout: minutes(5) }, () => {
  it('send each OTP exactly once, with its ids on the record and in the job’s return value', async () => {
    fleet = await startFleet();
    fleet.startWorker();
    fleet.startWorker();
    const otps = await fleet.settled(await fleet.enqueue(full ? 10_000 : 1_000), minutes(3));
    expect(countByStatus(otps)).toEqual({ sent: otps.length });
    expect(providerSaw(fleet, otps)).toEqual({ duplicates: 0, mostCalls: 1 });
    expect(fleet.simulator.state.stats().numbers).toBe(otps.length);
    for (const { id, uuid, smsId } of otps) {
      expect(uuid).toMatch(/^[0-9a-f-]{36}$/);
      expect(smsId).toMatch(/^\d+$/);
      const job = await fleet.queue.queues[0].getJob(id);
      expect(job?.returnvalue).toEqual({ uuid, smsId });
    }
    faultRow(`${otps.length} OTPs, 2 workers`, { ...countByStatus(otps), ...providerSaw(fleet, otps) }, 'S3');
  });
});

describe('workers restarted one after the other with SIGTERM', { timeout: minutes(5) }, () => {
  it('finish what they hold: nothing is unknown, sent twice or lost, and each exits 0', async () => {
    fleet = await startFleet({ MAX_RESENDS_AFTER_UNKNOWN: '0', WORKER_CONCURRENCY: '20' });
    fleet.simulator.state.change({ latencyMs: { min: 200, max: 800 } });
    const count = full ? 2_000 : 300;
    fleet.startWorker();
    let leaving = fleet.startWorker();
    const enqueued = await fleet.enqueue(count);
    const exits: (number | string | null)[] = [];
    while (fleet.simulator.state.stats().numbers < count * 0.8) {
      await sleep(1_000);
      const successor = fleet.startWorker();
      exits.push(await leaving.end('SIGTERM'));
      leaving = successor;
    }
    const otps = await fleet.settled(enqueued, minutes(2));
    faultRow(
      `${count} OTPs, 2 workers × 20 replaced one after the other with SIGTERM, MAX_RESENDS_AFTER_UNKNOWN=0`,
      { restarts: exits.length, ...countByStatus(otps), ...providerSaw(fleet, otps) },
      'S8',
    );
    expect(new Set(exits)).toEqual(new Set([0]));
    expect(countByStatus(otps)).toEqual({ sent: count });
    expect(providerSaw(fleet, otps)).toEqual({ duplicates: 0, mostCalls: 1 });
  });
});

describe('a worker frozen past its lock and thawed', { timeout: minutes(5) }, () => {
  it.each([0, 1])('sends at most 1 + %i times', async (maxResendsAfterUnknown) => {
    fleet = await startFleet({
      MAX_RESENDS_AFTER_UNKNOWN: String(maxResendsAfterUnknown),
      ISMS_SEND_TIMEOUT_MS: '10000',
      WORKER_CONCURRENCY: '20',
    });
    fleet.simulator.state.change({ latencyMs: 200 });
    const frozen = fleet.startWorker();
    const enqueued = await fleet.enqueue(full ? 5_000 : 300);
    while (fleet.simulator.state.calls.send < 50) await sleep(20);
    frozen.signal('SIGSTOP');
    fleet.startWorker();
    await sleep(25_000);
    frozen.signal('SIGCONT');
    const otps = await fleet.settled(enqueued, minutes(2));
    const saw = providerSaw(fleet, otps);
    faultRow(
      `${otps.length} OTPs, a worker stopped for 25 s, past its lock, MAX_RESENDS_AFTER_UNKNOWN=${maxResendsAfterUnknown}`,
      { ...countByStatus(otps), ...saw },
      maxResendsAfterUnknown === 0 ? 'S3' : 'S4',
    );
    expect(saw.mostCalls).toBeLessThanOrEqual(1 + maxResendsAfterUnknown);
    if (maxResendsAfterUnknown === 0) expect(saw.duplicates).toBe(0);
  });
});

describe('the provider', { timeout: minutes(5) }, () => {
  it('switched off for a while in the middle costs nothing: all go out afterwards, none twice', async () => {
    fleet = await startFleet({ WORKER_CONCURRENCY: '20', MAX_RESENDS_AFTER_UNKNOWN: '0' });
    fleet.simulator.state.change({ latencyMs: 50 });
    fleet.startWorker();
    fleet.startWorker();
    const enqueued = fleet.enqueue(full ? 5_000 : 800);
    while (fleet.simulator.state.calls.send < 200) await sleep(10);
    await fleet.simulator.switchOff(full ? 20_000 : 5_000, fleet.workers);
    const otps = await fleet.settled(await enqueued, minutes(3));
    const saw = providerSaw(fleet, otps);
    faultRow(
      `${otps.length} OTPs, the provider switched off for 20 s in the middle, MAX_RESENDS_AFTER_UNKNOWN=0`,
      { ...countByStatus(otps), ...saw },
      'S2',
    );
    expect(countByStatus(otps)).toEqual({ sent: otps.length });
    expect(saw.duplicates).toBe(0);
  });

  it('without credits pauses sending; after the top-up all goes on by itself', async () => {
    fleet = await startFleet({ WORKER_CONCURRENCY: '20' });
    const count = full ? 5_000 : 600;
    fleet.simulator.state.change({ credits: count / 2 });
    fleet.startWorker();
    fleet.startWorker();
    const enqueued = await fleet.enqueue(count / 2 + 50);
    while ((await fleet.store.sendingPause.read()) === null) await sleep(50);
    const refused = await fleet.enqueue(1).catch((error: Error) => error.message);
    expect(refused).toBe('refused');
    const active = async () => await fleet.queue.queues[0].getActiveCount();
    await expect.poll(active, { timeout: minutes(1) }).toBe(0);
    const callsWhilePaused = fleet.simulator.state.calls.send;
    await sleep(3_000);
    expect(fleet.simulator.state.calls.send).toBe(callsWhilePaused);
    fleet.simulator.state.change({ credits: 10_000 });
    const otps = await fleet.settled(enqueued, minutes(1));
    const { duplicates } = providerSaw(fleet, otps);
    faultRow(
      `${otps.length} OTPs, credits for ${count / 2}, then a top-up`,
      { ...countByStatus(otps), duplicates, refusedCalls: callsWhilePaused - count / 2 },
      'S9',
    );
    expect(countByStatus(otps)).toEqual({ sent: otps.length });
    expect(duplicates).toBe(0);
    expect(callsWhilePaused - count / 2).toBeLessThanOrEqual(2 * 2 * 20);
  });
});

describe('Redis killed and restarted in the middle', { timeout: minutes(10) }, () => {
  it('loses nothing, sends nothing twice, and work resumes within 10 seconds', async () => {
    fleet = await startFleet({
      MAX_RESENDS_AFTER_UNKNOWN: '0',
      ISMS_SEND_TIMEOUT_MS: '10000',
      WORKER_CONCURRENCY: '20',
    });
    fleet.simulator.state.change({ latencyMs: { min: 100, max: 400 } });
    const count = full ? 10_000 : 2_000;
    const enqueued = await fleet.enqueue(count);
    fleet.startWorker();
    fleet.startWorker();
    const kills = full ? 10 : 2;
    const resumedAfterMs: number[] = [];
    for (let i = 0; i < kills; i++) {
      await sleep(2_000);
      expect(fleet.simulator.state.stats().numbers, 'work left to interrupt').toBeLessThan(count);
      await fleet.redis.kill();
      await sleep(1_000);
      await fleet.redis.restart();
      const [up, before] = [Date.now(), fleet.simulator.state.calls.send];
      while (fleet.simulator.state.calls.send <= before && Date.now() - up < 20_000) await sleep(20);
      resumedAfterMs.push(Date.now() - up);
    }
    const otps = await fleet.settled(enqueued, minutes(4));
    const saw = providerSaw(fleet, otps);
    faultRow(
      `${count} OTPs, Redis killed with kill -9 and restarted ${kills} times, MAX_RESENDS_AFTER_UNKNOWN=0`,
      { ...countByStatus(otps), ...saw, resumedWithinMs: Math.max(...resumedAfterMs) },
      'S11',
    );
    expect(saw).toEqual({ duplicates: 0, mostCalls: 1 });
    expect(countByStatus(otps)).toEqual({ sent: otps.length });
    expect(Math.max(...resumedAfterMs)).toBeLessThan(promisedMs(10_000));
  });
});
