import { beforeEach, describe, expect, it } from 'vitest';
import type { SendOutcome } from '../../src/otp/outcome.js';
import { type CircuitBreaker, createCircuitBreaker } from '../../src/provider/circuit-breaker.js';
import {
  type AdaptiveConcurrency,
  createAdaptiveConcurrency,
  createJobGate,
  type JobGate,
  type JobTaker,
} from '../../src/workers/job-gate.js';
import { manualClock } from '../support/manual-clock.js';
import { accepted, accountTrouble, rejected, unknown, unsent } from '../support/otps.js';

let clock: ReturnType<typeof manualClock>;
let circuit: CircuitBreaker;
let jobGate: JobGate;
let did: string[];
let running: boolean;
let taker: JobTaker;

beforeEach(() => {
  clock = manualClock();
  circuit = createCircuitBreaker(clock);
  did = [];
  running = true;
  taker = {
    isRunning: () => running,
    concurrency: 8,
    pause: async () => void did.push('pause'),
    resume: () => void did.push(`resume with ${taker.concurrency}`),
    rotate: () => void did.push('rotate'),
  };
  const concurrency = createAdaptiveConcurrency(8, clock.now);
  jobGate = createJobGate({ taker: () => taker, circuit, concurrency });
});

const trip = () => {
  for (let i = 0; i < 5; i++) circuit.enter()?.settle('failure');
};
/** A job in hand, and what ends it. */
const job = () => {
  let end = () => {};
  const done = jobGate.trackJob(() => new Promise<void>((resolve) => (end = resolve)));
  return async () => {
    end();
    await done;
  };
};

describe('the job gate', () => {
  it('wakes a worker that missed its resume, unless the gate is closed or stopped', () => {
    running = false;
    jobGate.check();
    expect(did).toEqual(['resume with 8', 'rotate']);
    trip();
    jobGate.check();
    expect(did).toEqual(['resume with 8', 'rotate', 'pause']);
    clock.advance(5_000);
    jobGate.stop();
    jobGate.check();
    expect(did).toEqual(['resume with 8', 'rotate', 'pause', 'resume with 1']);
  });

  it('is closed while the circuit is open, and takes one job while it is half-open', () => {
    trip();
    expect(jobGate.closed).toBe(true);
    clock.advance(5_000);
    expect(jobGate.closed).toBe(false);
    expect(did).toEqual(['pause', 'resume with 1']);
  });

  it('rotates shards while the worker could take more jobs, and never beside a probe', async () => {
    jobGate.check();
    expect(did).toEqual(['rotate']);
    trip();
    jobGate.check();
    clock.advance(5_000);
    did = [];
    const probe = job();
    jobGate.check();
    expect(did).toEqual([]);
    await probe();
    jobGate.check();
    expect(did).toEqual(['rotate']);
  });

  it('takes as many jobs as before once the circuit is closed again', () => {
    trip();
    clock.advance(5_000);
    circuit.enter()?.settle('success');
    expect(taker.concurrency).toBe(8);
  });

  it('stays closed until every reason is gone, and pauses and resumes once', () => {
    jobGate.set('account_trouble', true);
    trip();
    clock.advance(5_000);
    expect(jobGate.closed).toBe(true);
    jobGate.set('account_trouble', false);
    expect(jobGate.closed).toBe(false);
    expect(did).toEqual(['pause', 'resume with 1']);
  });

  it('stays closed for the circuit when account trouble is over', () => {
    trip();
    jobGate.set('account_trouble', true);
    jobGate.set('account_trouble', false);
    expect(jobGate.closed).toBe(true);
    expect(did).toEqual(['pause']);
  });

  it('takes one probe beside jobs that hang, and no second one when they end', async () => {
    const hanging = [job(), job(), job()];
    trip();
    clock.advance(5_000);
    expect(taker.concurrency).toBe(4);
    const probe = job();
    for (const [i, end] of hanging.entries()) {
      await end();
      expect(taker.concurrency).toBe(3 - i);
    }
    await probe();
    expect(taker.concurrency).toBe(1);
  });

  it('takes fewer jobs while sends time out, and one for a probe', () => {
    jobGate.note(unknown);
    expect(taker.concurrency).toBe(4);
    trip();
    clock.advance(5_000);
    jobGate.note(accepted());
    expect(taker.concurrency).toBe(1);
    circuit.enter()?.settle('success');
    expect(taker.concurrency).toBe(4);
  });

  it('takes one job at a time during a trial', () => {
    jobGate.setSerial(true);
    expect(taker.concurrency).toBe(1);
    jobGate.setSerial(false);
    expect(taker.concurrency).toBe(8);
  });

  it('takes a trial beside jobs that hang from before the account trouble', async () => {
    const hanging = [job(), job()];
    jobGate.setSerial(true);
    expect(taker.concurrency).toBe(3);
    const tried = job();
    for (const end of hanging) await end();
    expect(taker.concurrency).toBe(1);
    await tried();
  });

  it('starts with few jobs again after a restart', () => {
    const concurrency = createAdaptiveConcurrency(20, clock.now);
    const fresh = createJobGate({ taker: () => taker, circuit, concurrency });
    for (let i = 0; i < 80; i++) fresh.note(accepted());
    expect(taker.concurrency).toBe(20);
    fresh.restart();
    expect(taker.concurrency).toBe(16);
  });

  it('does not touch the worker after stop', () => {
    jobGate.stop();
    trip();
    clock.advance(5_000);
    expect(did).toEqual([]);
  });

  it('releases a job that fails', async () => {
    const failing = jobGate.trackJob(() => Promise.reject(new Error('of our own')));
    await expect(failing).rejects.toThrow('of our own');
    trip();
    clock.advance(5_000);
    expect(taker.concurrency).toBe(1);
  });
});

describe('the adaptive concurrency', () => {
  let now: number;
  let concurrency: AdaptiveConcurrency;

  beforeEach(() => {
    now = 0;
    concurrency = createAdaptiveConcurrency(50, () => now);
  });

  /** As many accepted sends as it takes. */
  const prove = () => note(accepted(), 109);

  const note = (outcome: SendOutcome, times = 1) => {
    for (let i = 0; i < times; i++) concurrency.note(outcome);
  };

  /** Round trips until a burst of so many OTPs is answered, each as long as one call. */
  function roundTrips(burst: number): number {
    let rounds = 0;
    for (let left = burst; left > 0; rounds++) {
      const calls = Math.min(left, concurrency.limit);
      note(accepted(), calls);
      left -= calls;
    }
    return rounds;
  }

  it('starts with 16, or with fewer if that is the most', () => {
    expect(concurrency.limit).toBe(16);
    expect(createAdaptiveConcurrency(2, () => now).limit).toBe(2);
  });

  it('starts with one for each queue', () => {
    expect(createAdaptiveConcurrency(50, () => now, 18).limit).toBe(18);
    expect(createAdaptiveConcurrency(6, () => now, 8).limit).toBe(6);
  });

  it('stays below 20 until 75 calls were accepted, then grows by one with each', () => {
    note(accepted(), 75);
    expect(concurrency.limit).toBe(16);
    note(accepted(), 3);
    expect(concurrency.limit).toBe(19);
    note(accepted(), 10_000);
    expect(concurrency.limit).toBe(50);
  });

  it.each([
    [50, 4],
    [100, 6],
    [200, 9],
  ])('allows a burst of %d on an idle worker in %d round trips', (burst, trips) => {
    expect(roundTrips(burst)).toBe(trips);
  });

  it('allows 50 at once after enough accepted calls within a minute', () => {
    prove();
    now = 59_999;
    expect(roundTrips(50)).toBe(1);
  });

  it('does not grow with refusals', () => {
    note(rejected, 100);
    note(accountTrouble, 100);
    expect(concurrency.limit).toBe(16);
  });

  it('starts with 16 again after a minute without an accepted call, and after a pause', () => {
    prove();
    now = 60_000;
    expect(concurrency.limit).toBe(16);
    prove();
    expect(concurrency.limit).toBe(50);
    concurrency.restart();
    expect(concurrency.limit).toBe(16);
  });

  it('halves once when several sends time out within a second', () => {
    prove();
    note(unknown, 50);
    now = 999;
    note(unknown, 50);
    expect(concurrency.limit).toBe(25);
    now = 1_000;
    note(unknown);
    expect(concurrency.limit).toBe(12);
  });

  it('never falls below one', () => {
    for (now = 0; now < 20_000; now += 1_000) note(unknown);
    expect(concurrency.limit).toBe(1);
  });

  it('grows by one after as many answers as may be in flight once a send timed out, up to the most', () => {
    prove();
    note(unknown);
    note(accepted(), 24);
    expect(concurrency.limit).toBe(25);
    note(accepted());
    expect(concurrency.limit).toBe(26);
    // Steady traffic that never uses half of them.
    for (; now < 300_000; now += 1_000) note(accepted(), 5);
    expect(concurrency.limit).toBe(50);
  });

  it('counts refusals as answers once a send timed out', () => {
    prove();
    note(unknown);
    note(rejected, 13);
    note(accountTrouble, 12);
    expect(concurrency.limit).toBe(26);
  });

  it.each<SendOutcome>([
    unsent,
    { kind: 'unsent', reason: 'circuit_open' },
    { kind: 'unknown', reason: 'connection_lost' },
  ])('does not change with $reason', (outcome) => {
    prove();
    note(unknown);
    now = 5_000;
    note(outcome, 200);
    expect(concurrency.limit).toBe(25);
  });
});
