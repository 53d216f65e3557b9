import { Worker } from 'bullmq';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { momentIn, type Provider } from '../../src/otp/provider.js';
import { queueNames, queuePrefix } from '../../src/queues/queues.js';
import { startSimulator } from '../../src/simulator/simulator.js';
import { createSendOtpProcessor, type SendOtpDependencies } from '../../src/workers/send-otp.js';
import { fastClock } from '../support/manual-clock.js';
import { number, sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, quiet, type Scene } from '../support/workers.js';

const redis = await connect();
/** The circuit's five seconds are one here. */
const times = 5;
const cleanups: (() => Promise<unknown>)[] = [];
let scene: Scene;
/** Sends that the guards let through: how many, under way, and the most at once since it was last set to 0. */
const seen = { sends: 0, underWay: 0, most: 0 };

const watch = (provider: Provider): Provider => ({
  ...provider,
  send: async (call, window) => {
    seen.sends += 1;
    seen.underWay += 1;
    seen.most = Math.max(seen.most, seen.underWay);
    return await provider.send(call, window).finally(() => {
      seen.underWay -= 1;
    });
  },
});

async function set(overrides: Parameters<typeof createScene>[1], clock = fastClock(times)): Promise<void> {
  scene = await createScene(redis, overrides, { clock, watch });
}

beforeEach(async () => {
  await redis.flushdb();
  Object.assign(seen, { sends: 0, underWay: 0, most: 0 });
});
afterEach(async () => {
  await scene.close();
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const reserved = (lastDigits: string) => number(`+601900000${lastDigits}`);
const ordinary = (i: number) => number(`01234${String(50_000 + i)}`);
const send = (count: number, from = 0) =>
  Promise.all(Array.from({ length: count }, (_, i) => scene.send({ to: ordinary(from + i) })));
const statuses = (ids: string[]) => Promise.all(ids.map((id) => scene.settled(id)));
const events = () => scene.log.flatMap(({ event }) => (event?.startsWith('circuit.') ? [event] : []));
const kept = (reason: string) => scene.log.filter((line) => line['reason'] === reason).length;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (let met = false; !met; met = await condition()) {
    if (Date.now() > deadline) throw new Error(`never: ${condition}; log: ${JSON.stringify(scene.log)}`);
    await sleep(10);
  }
}

/** The most sends at once within the next `ms`. */
async function mostDuring(ms: number): Promise<number> {
  seen.most = seen.underWay;
  await sleep(ms);
  return seen.most;
}

/** Refuses connections from now on; resolves with what starts iSMS again at the same address. */
async function refuseConnections() {
  await scene.simulator.close();
  const port = Number(new URL(scene.simulator.endpoint).port);
  return async () => {
    const simulator = await startSimulator({ port });
    cleanups.push(() => simulator.close());
    return simulator;
  };
}

describe('while iSMS refuses connections', () => {
  it('few calls are made, and what waits uses no retry: all is sent afterwards, once', async () => {
    await set({ sendRetries: 0 });
    const startAgain = await refuseConnections();
    await scene.start();
    const first = await send(5);
    expect(new Set(await statuses(first))).toEqual(new Set(['failed']));
    expect(events()).toEqual(['circuit.opened']);

    const waiting = await send(100, 5);
    await sleep(300);
    expect(seen.sends).toBe(5);
    const simulator = await startAgain();
    expect(new Set(await statuses(waiting))).toEqual(new Set(['sent']));
    expect(seen.sends).toBe(105);
    expect(simulator.state.calls.send).toBe(100);
    expect(simulator.state.stats().numbers).toBe(100);
    expect(events()).toEqual(['circuit.opened', 'circuit.half_open', 'circuit.closed']);
  });

  it('for eight seconds, one batch and one probe go wrong; all is sent afterwards, once', {
    timeout: 40_000,
  }, async () => {
    await set({ sendRetries: 2 });
    const startAgain = await refuseConnections();
    await scene.start();
    const ids = await send(100);
    await sleep(8_000 / times);
    const { sends: whileIll } = seen;
    const simulator = await startAgain();
    expect(new Set(await statuses(ids))).toEqual(new Set(['sent']));
    // A batch, what took the place of the five that opened the circuit, a probe.
    expect(whileIll).toBeLessThanOrEqual(20 + 5 + 1);
    expect(simulator.state.calls.send).toBe(100);
    expect(simulator.state.stats().numbers).toBe(100);
    expect(events().filter((event) => event === 'circuit.opened')).toHaveLength(2);
    expect(kept('circuit_open')).toBeLessThanOrEqual(20);
  });
});

describe('an open circuit', () => {
  it('has a send in hand wait in its place, without using a retry', async () => {
    await set({ sendRetries: 0 });
    let closed = false;
    const intake: SendOtpDependencies['intake'] = {
      get closed() {
        return closed;
      },
      hold: (work) => work(),
      setSingle: () => {},
      note: () => {
        closed = true;
      },
    };
    const { sendAttempts } = scene.store;
    const process = createSendOtpProcessor({
      ...scene,
      ...quiet,
      sendAttempts,
      intake,
      sendTimeoutMs: 5_000,
    });
    for (let i = 0; i < 5; i++) scene.sendCircuit.enter()?.settle('ill');
    const id = await scene.send();
    const worker = new Worker(queueNames.sendOtp, (job, token) => process(job as never, token), {
      connection: redis,
      prefix: queuePrefix,
    });
    cleanups.push(() => worker.close());
    await until(() => kept('circuit_open') === 1);
    await sleep(50);
    expect(await scene.store.otps.find('shop', id)).toMatchObject({ status: 'queued' });
    expect(await scene.queue.queues[0].getJobState(id), 'its place in the line').not.toBe('delayed');
    await until(() => scene.sendCircuit.state === 'half_open');
    closed = false;
    expect(await scene.settled(id)).toBe('sent');
    expect(seen.sends).toBe(1);
  });
});

describe('a half-open circuit', () => {
  it('has one send made, and no job claimed for nothing, until that one is answered', async () => {
    await set({ sendRetries: 0 });
    const startAgain = await refuseConnections();
    await scene.start();
    await statuses(await send(5));
    const waiting = await send(50, 5);
    const simulator = await startAgain();
    simulator.state.change({ latencyMs: 300 });
    seen.most = 0;
    await until(() => events().includes('circuit.half_open'));
    await sleep(250);
    expect(seen.most).toBe(1);
    expect(kept('circuit_open')).toBe(0);
    await statuses(waiting);
    expect(seen.most).toBeGreaterThan(4);
  });

  it('is probed although sends of before still hang', async () => {
    await set({ sendLeaseMs: 6_000, unknownResends: 0 }, fastClock(20));
    await scene.start();
    const hanging = Array.from({ length: 3 }, () => scene.send({ to: reserved('10') }));
    await until(() => seen.underWay === 3);
    await statuses(await Promise.all(Array.from({ length: 5 }, () => scene.send({ to: reserved('11') }))));
    expect(events()).toContain('circuit.opened');
    const id = await scene.send();
    const startedAt = Date.now();
    expect(await scene.settled(id)).toBe('sent');
    expect(Date.now() - startedAt).toBeLessThan(2_000);
    expect(await slowestVerification(5)).toBeLessThan(200);
    expect(seen.underWay).toBe(3);
    await Promise.all(hanging);
  });
});

describe('while sends hang', () => {
  it('fewer are made at a time, verification stays fast, and it grows back', {
    timeout: 40_000,
  }, async () => {
    await set({ sendLeaseMs: 700, unknownResends: 10 });
    scene.simulator.state.change({ latencyMs: 300 });
    await scene.start();
    await send(600);
    await until(() => seen.most === 20);
    // One in ten hangs: too few for the circuit, enough to time out every second.
    scene.simulator.state.change({ errorRate: 0.1, errorKind: 'hang_before_sms' });
    await until(async () => (await mostDuring(500)) <= 10);
    expect(await slowestVerification(3)).toBeLessThan(500);
    expect(scene.sendCircuit.state).toBe('closed');
    expect(await scene.queue.queues[0].getWaitingCount()).toBeGreaterThan(0);

    scene.simulator.state.change({ latencyMs: 20, errorRate: 0 });
    await mostDuring(0);
    await until(() => seen.most === 20);
  });
});

/** Milliseconds. */
async function slowestVerification(calls: number): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < calls; i++) {
    const startedAt = performance.now();
    const ids = { uuid: 'bd9a1ff0-4f2c-11eb-9b62-008cfaff44de', smsId: '1' };
    const call = {
      app: 'shop',
      isTest: false,
      ...ids,
      to: number(),
      code: '123456',
      validMinutes: 5,
      senderId: null,
    };
    expect(await scene.provider.verify(call)).toMatchObject({ kind: 'unrecognised' });
    took.push(performance.now() - startedAt);
  }
  return Math.max(...took);
}

describe('the retry budget', () => {
  it.each([
    ['a retry', '31'],
    ['a resend', '32'],
  ])('holds %s back without using it up, and lets it go later', async (_what, lastDigits) => {
    await set({ sendLeaseMs: 5_000, sendRetries: 1, unknownResends: 1 });
    await scene.start();
    const call = {
      app: 'shop',
      isTest: false,
      to: number(),
      message: '%OTP%',
      unicode: false,
      senderId: null,
      attempt: 2,
    };
    const window = { leaveBy: momentIn(5_000), endBy: performance.now() + 5_000 };
    for (let i = 0; i < 10; i++)
      expect(await scene.provider.send(call, window)).toMatchObject({ kind: 'accepted' });
    const id = await scene.send({ to: reserved(lastDigits) });
    await until(() => kept('retry_budget') > 0);
    expect(scene.simulator.state.number(reserved(lastDigits).e164).calls).toBe(1);
    expect(await scene.settled(id)).toBe('sent');
    expect(scene.simulator.state.number(reserved(lastDigits).e164).calls).toBe(2);
  });
});
