import { readFileSync } from 'node:fs';
import { behaviours } from 'isms-2fa-simulator';
import { afterEach, expect, it } from 'vitest';
import type { Otp } from '../../src/otp/otp.js';
import { faultRow } from '../support/fault-table.js';
import { number, request, sleep } from '../support/otps.js';
import { type Fleet, nthNumber, startFleet } from './fleet.js';

let fleet: Fleet;
afterEach(() => fleet.close());

/** What each kind of trouble must come to when no OTP may be sent twice; everything else is `unknown`. */
const expected: Record<string, string> = {
  normal: 'sent',
  invalid_number: 'failed',
  failed: 'failed',
  slow: 'sent',
  // Proven unsent, and tried again until it went out.
  too_many_requests_once: 'sent',
};
/** Verifications alone go wrong, or the account is in trouble, which pauses everything; both are shown elsewhere. */
const elsewhere = /^verify_|credits|authentication|account|ip_not|^too_many_requests$/;
const kinds = behaviours.filter(({ name }) => !elsewhere.test(name));

/** The most that a process has taken so far, as Linux counts it. */
const memoryMb = (pid: number) =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;

async function enqueue(to: string): Promise<Otp> {
  const admission = await fleet.store.otps.admit(request({ to: number(to), sendDeadlineSeconds: 300 }), null);
  if (admission.kind !== 'created') throw new Error(admission.kind);
  await fleet.queue.add(admission.otp);
  return admission.otp;
}

it.runIf(process.platform === 'linux')(
  'a provider that misbehaves in every way it can: one class each, one call each, little memory',
  {
    timeout: 180_000,
  },
  async () => {
    fleet = await startFleet({
      MAX_RESENDS_AFTER_UNKNOWN: '0',
      ISMS_SEND_TIMEOUT_MS: '7000',
      WORKER_CONCURRENCY: '4',
    });
    const worker = fleet.startWorker();
    // Warm, so that what is measured is what the odd replies take.
    await fleet.settled(await fleet.enqueue(500), 60_000);
    const before = memoryMb(worker.child.pid ?? 0);
    const odd: Otp[] = [];
    for (const [n, { number: to }] of kinds.entries()) {
      odd.push(await enqueue(to));
      // Good sends in between, or the circuit would open and rightly so.
      for (let i = 0; i < 4; i++) await enqueue(nthNumber(600_000 + n * 10 + i).e164);
      await sleep(500);
    }
    const settled = await fleet.settled(odd, 120_000);
    const statusOf = new Map(settled.map(({ to, status }) => [to.e164, status]));
    const grownMb = memoryMb(worker.child.pid ?? 0) - before;
    const found = kinds.map(({ name, number: to }) => ({
      name,
      status: statusOf.get(to),
      calls: fleet.simulator.state.number(to).calls,
    }));
    const classes: Record<string, string[]> = {};
    for (const { name, status = 'missing' } of found) {
      classes[status] = [...(classes[status] ?? []), name];
    }
    faultRow(
      `${kinds.length} provider faults, MAX_RESENDS_AFTER_UNKNOWN=0`,
      { ...classes, memoryGrewMb: Math.round(grownMb) },
      'S2',
    );
    for (const { name, status, calls } of found) {
      const once = name === 'too_many_requests_once' ? 2 : 1;
      expect({ name, status, calls }).toEqual({ name, status: expected[name] ?? 'unknown', calls: once });
    }
    expect(grownMb).toBeLessThan(20);
  },
);
