import { afterEach, describe, expect, it } from 'vitest';
import { faultRow, full } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { countByStatus, type Fleet, providerSaw, startFleet, unexplainedCalls } from './fleet.js';

const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

describe('workers killed with kill -9', { timeout: minutes(15) }, () => {
  const count = full ? 100_000 : 600;
  const concurrency = full ? 50 : 20;
  const killing = async (maxResendsAfterUnknown: number) => {
    // A short send time-out only shortens the wait for the attempts that the dead left behind.
    fleet = await startFleet({
      MAX_RESENDS_AFTER_UNKNOWN: String(maxResendsAfterUnknown),
      ISMS_SEND_TIMEOUT_MS: '8000',
      WORKER_CONCURRENCY: String(concurrency),
    });
    fleet.simulator.state.change({ latencyMs: { min: 20, max: 120 } });
    fleet.startWorker();
    let victim = fleet.startWorker();
    const enqueued = fleet.enqueue(count);
    let kills = 0;
    while (fleet.simulator.state.stats().numbers < count * 0.9) {
      await fleet.ready(2);
      await sleep(full ? 2_000 : 700);
      await victim.end('SIGKILL');
      kills += 1;
      victim = fleet.startWorker();
    }
    const otps = await fleet.settled(await enqueued, minutes(5));
    const unexplained = await unexplainedCalls(fleet, otps);
    const found = { kills, ...countByStatus(otps), ...providerSaw(fleet, otps), unexplained };
    faultRow(
      `${count} OTPs, 2 workers × ${concurrency}, kill -9 of one whenever both have worked for 2 s, MAX_RESENDS_AFTER_UNKNOWN=${maxResendsAfterUnknown}`,
      found,
      maxResendsAfterUnknown === 0 ? 'S3' : 'S4',
    );
    expect(kills).toBeGreaterThan(0);
    expect((found.sent ?? 0) + (found.unknown ?? 0)).toBe(count);
    return found;
  };

  it('never send twice with MAX_RESENDS_AFTER_UNKNOWN=0, and leave nothing without an end', async () => {
    const { kills, duplicates, mostCalls, unknown = 0 } = await killing(0);
    expect({ duplicates, mostCalls }).toEqual({ duplicates: 0, mostCalls: 1 });
    expect(unknown).toBeLessThanOrEqual(kills * concurrency);
  });

  it('ask the provider at most twice with MAX_RESENDS_AFTER_UNKNOWN=1, the second time after a recorded unknown', async () => {
    const { mostCalls, unexplained } = await killing(1);
    expect(mostCalls).toBeLessThanOrEqual(2);
    expect(unexplained).toBe(0);
  });
});
