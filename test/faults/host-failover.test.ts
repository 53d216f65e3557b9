import { afterEach, describe, expect, it } from 'vitest';
import { refusedPort, startFakeProvider } from '../isms/fake-provider.js';
import { faultRow, full } from '../support/fault-table.js';
import { written } from '../support/processes.js';
import { countByStatus, type Fleet, providerSaw, startFleet } from './fleet.js';

const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

describe('two hosts of iSMS', { timeout: minutes(5) }, () => {
  it('get each OTP once, from the second while the first refuses connections', async () => {
    fleet = await startFleet({ MAX_RESENDS_AFTER_UNKNOWN: '0' });
    const refusing = `http://127.0.0.1:${await refusedPort()}`;
    const ISMS_URL = `${refusing}/2FA/request.php,${fleet.simulator.endpoint}`;
    const workers = [fleet.startWorker({ ISMS_URL }), fleet.startWorker({ ISMS_URL })];
    const otps = await fleet.settled(await fleet.enqueue(full ? 10_000 : 1_000), minutes(3));
    faultRow(
      `${otps.length.toLocaleString('en-US')} OTPs, 2 workers, the first of two hosts refuses connections, \`MAX_RESENDS_AFTER_UNKNOWN=0\``,
      { ...countByStatus(otps), ...providerSaw(fleet, otps) },
      'S17',
    );
    expect(countByStatus(otps)).toEqual({ sent: otps.length });
    expect(providerSaw(fleet, otps)).toEqual({ duplicates: 0, mostCalls: 1 });
    // The log names the host, and nothing else of the address.
    for (const worker of workers) await written(worker, /"isms.host_failed","host":"[^"]*"/);
    const logged = workers.map(({ output }) => output).join('\n');
    expect(logged).toContain(`"host":"${refusing}"`);
    expect(logged).not.toContain('request.php');
    expect(logged.match(/isms\.host_failed/g)).toHaveLength(2);
  });

  it('get one call together, when the first accepts the connection and hangs', async () => {
    const hung = await startFakeProvider(() => undefined);
    fleet = await startFleet({ MAX_RESENDS_AFTER_UNKNOWN: '0', ISMS_SEND_TIMEOUT_MS: '2000' });
    fleet.startWorker({ ISMS_URL: `${hung.url},${fleet.simulator.endpoint}` });
    const otps = await fleet.settled(await fleet.enqueue(4), minutes(2));
    const ofSends = hung.targets.filter((target) => !target.includes('method='));
    faultRow(
      '4 OTPs, the first of two hosts accepts connections and hangs, `MAX_RESENDS_AFTER_UNKNOWN=0`',
      { ...countByStatus(otps), firstHostCalls: ofSends.length, ...providerSaw(fleet, otps) },
      'S17',
    );
    expect(countByStatus(otps)).toEqual({ unknown: 4 });
    expect(new Set(ofSends).size).toBe(4);
    expect(ofSends).toHaveLength(4);
    expect(fleet.simulator.state.calls.send).toBe(0);
    await hung.close();
  });
});
