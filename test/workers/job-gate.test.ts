import { beforeEach, describe, expect, it } from 'vitest';
import { type CircuitBreaker, createCircuitBreaker } from '../../src/provider/circuit-breaker.js';
import { createAdaptiveConcurrency } from '../../src/workers/adaptive-concurrency.js';
import { createJobGate, type JobGate, type JobTaker } from '../../src/workers/job-gate.js';
import { manualClock } from '../support/manual-clock.js';
import { accepted, unknown } from '../support/otps.js';

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
  const done = jobGate.hold(() => new Promise<void>((resolve) => (end = resolve)));
  return async () => {
    end();
    await done;
  };
};

describe('the jobGate', () => {
  it('wakes a worker that missed its resume, unless it is closed or about to be', () => {
    running = false;
    jobGate.look();
    expect(did).toEqual(['resume with 8', 'rotate']);
    trip();
    jobGate.look();
    expect(did).toEqual(['resume with 8', 'rotate', 'pause']);
    clock.advance(5_000);
    jobGate.stop();
    jobGate.look();
    expect(did).toEqual(['resume with 8', 'rotate', 'pause', 'resume with 1']);
  });

  it('is closed while the circuit is open, and takes one job when it is half-open', () => {
    trip();
    expect(jobGate.closed).toBe(true);
    clock.advance(5_000);
    expect(jobGate.closed).toBe(false);
    expect(did).toEqual(['pause', 'resume with 1']);
  });

  it('lets a worker look for jobs elsewhere while it could take more, and never beside a probe', async () => {
    jobGate.look();
    expect(did).toEqual(['rotate']);
    trip();
    jobGate.look();
    clock.advance(5_000);
    did = [];
    const probe = job();
    jobGate.look();
    expect(did).toEqual([]);
    await probe();
    jobGate.look();
    expect(did).toEqual(['rotate']);
  });

  it('takes as many as before once the circuit is closed again', () => {
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

  it('takes a probe beside the jobs that hang from before, and no second one when they end', async () => {
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

  it('takes fewer jobs while sends time out, and not more than one for a probe', () => {
    jobGate.note(unknown);
    expect(taker.concurrency).toBe(4);
    trip();
    clock.advance(5_000);
    jobGate.note(accepted());
    expect(taker.concurrency).toBe(1);
    circuit.enter()?.settle('success');
    expect(taker.concurrency).toBe(4);
  });

  it('takes one job at a time to find out whether account trouble is over', () => {
    jobGate.setSerial(true);
    expect(taker.concurrency).toBe(1);
    jobGate.setSerial(false);
    expect(taker.concurrency).toBe(8);
  });

  it('tries a job beside those that hang from before account trouble', async () => {
    const hanging = [job(), job()];
    jobGate.setSerial(true);
    expect(taker.concurrency).toBe(3);
    const tried = job();
    for (const end of hanging) await end();
    expect(taker.concurrency).toBe(1);
    await tried();
  });

  it('begins anew with few jobs', () => {
    const concurrency = createAdaptiveConcurrency(20, clock.now);
    const fresh = createJobGate({ taker: () => taker, circuit, concurrency });
    for (let i = 0; i < 80; i++) fresh.note(accepted());
    expect(taker.concurrency).toBe(20);
    fresh.restart();
    expect(taker.concurrency).toBe(16);
  });

  it('leaves a stopped worker alone', () => {
    jobGate.stop();
    trip();
    clock.advance(5_000);
    expect(did).toEqual([]);
  });

  it('lets go of a job that fails', async () => {
    const failing = jobGate.hold(() => Promise.reject(new Error('of our own')));
    await expect(failing).rejects.toThrow('of our own');
    trip();
    clock.advance(5_000);
    expect(taker.concurrency).toBe(1);
  });
});
