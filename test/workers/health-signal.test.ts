import { Worker } from 'bullmq';
import { startSimulator } from 'isms-2fa-simulator';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SendOutcome } from '../../src/otp/outcome.js';
import { momentIn, type Provider } from '../../src/otp/provider.js';
import { queueNames, queuePrefix } from '../../src/queues/queues.js';
import { createSendOtpProcessor, type SendOtpDependencies } from '../../src/workers/send-otp.js';
import { manualClock } from '../support/manual-clock.js';
import { accepted, number } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, quiet, type Scene } from '../support/workers.js';

const redis = await connect();
/** How long a circuit is open at first, in milliseconds. */
const openMs = 5_000;
const cleanups: (() => Promise<unknown>)[] = [];
let scene: Scene;
/** Of circuits and retry budget. */
let clock: ReturnType<typeof manualClock>;
/** Sends that the guards let through: how many, under way, and the most at once since it was last set to 0. */
const seen = { sends: 0, underWay: 0, most: 0 };
/** What a send that the guards let through does instead of calling iSMS at once. */
let instead: (call: () => Promise<SendOutcome>) => Promise<SendOutcome>;

const watch = (provider: Provider): Provider => ({
  ...provider,
  send: async (call, window) => {
    seen.sends += 1;
    seen.underWay += 1;
    seen.most = Math.max(seen.most, seen.underWay);
    try {
      const outcome = await instead(() => provider.send(call, window));
      // On a busy machine the claim may take too long to come; then nothing leaves.
      if (outcome.kind === 'unsent' && outcome.reason === 'stale_claim') seen.sends -= 1;
      return outcome;
    } finally {
      seen.underWay -= 1;
    }
  },
});

async function set(overrides: Parameters<typeof createScene>[1]): Promise<void> {
  scene = await createScene(redis, overrides, { clock, watch });
}

beforeEach(async () => {
  await redis.flushdb();
  clock = manualClock();
  Object.assign(seen, { sends: 0, underWay: 0, most: 0 });
  instead = (call) => call();
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
const opened = () => events().filter((event) => event === 'circuit.opened').length;
const kept = (reason: string) => scene.log.filter((line) => line['reason'] === reason).length;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(condition, { timeout: 20_000, interval: 10 });
}

/** Sends wait from now on, in their order, until the test says how each ends. */
function holdSends() {
  const held: ((outcome: SendOutcome) => void)[] = [];
  instead = () => new Promise((resolve) => held.push(resolve));
  return {
    count: () => held.length,
    endOldest: (outcome: SendOutcome = accepted()) => held.shift()?.(outcome),
  };
}

/** Counts how often the worker looks whether sending is paused, as it does every second; its other work comes as often. */
function watchLooks(): () => number {
  const { sendingPause } = scene.store;
  const { read } = sendingPause;
  let looks = 0;
  sendingPause.read = async () => {
    looks += 1;
    return await read();
  };
  return () => looks;
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
  it('workers make few calls, and waiting OTPs use no retry: each is sent once afterwards', async () => {
    await set({ maxSendRetries: 0 });
    const startAgain = await refuseConnections();
    await scene.start();
    const first = await send(5);
    expect(new Set(await statuses(first))).toEqual(new Set(['failed']));
    expect(events()).toEqual(['circuit.opened']);

    const waiting = await send(100, 5);
    expect(seen.sends).toBe(5);
    const simulator = await startAgain();
    clock.advance(openMs);
    expect(new Set(await statuses(waiting))).toEqual(new Set(['sent']));
    expect(seen.sends).toBe(105);
    expect(simulator.state.calls.send).toBe(100);
    expect(simulator.state.stats().numbers).toBe(100);
    expect(events()).toEqual(['circuit.opened', 'circuit.half_open', 'circuit.closed']);
  });

  it('for eight seconds, one batch and one probe fail; each OTP is sent once afterwards', async () => {
    await set({ maxSendRetries: 2 });
    const startAgain = await refuseConnections();
    await scene.start();
    const ids = await send(100);
    await until(() => opened() === 1 && seen.underWay === 0);
    clock.advance(openMs);
    await until(() => opened() === 2);
    clock.advance(8_000 - openMs);
    const { sends: whileIll } = seen;
    const simulator = await startAgain();
    // Retries wait for their budget, too.
    const passing = setInterval(() => clock.advance(1_000), 50);
    cleanups.push(async () => clearInterval(passing));
    expect(new Set(await statuses(ids))).toEqual(new Set(['sent']));
    // A batch, what took the place of the five that opened the circuit, a probe.
    expect(whileIll).toBeLessThanOrEqual(20 + 5 + 1);
    expect(simulator.state.calls.send).toBe(100);
    expect(simulator.state.stats().numbers).toBe(100);
    expect(opened()).toBe(2);
    expect(kept('circuit_open')).toBeLessThanOrEqual(20);
  });
});

describe('an open circuit', () => {
  it('delays a claimed send without using a retry', async () => {
    await set({ maxSendRetries: 0 });
    let closed = false;
    const jobGate: SendOtpDependencies['jobGate'] = {
      get closed() {
        return closed;
      },
      trackJob: (work) => work(),
      note: () => {
        closed = true;
      },
    };
    const { sendAttempts, numberLists } = scene.store;
    const process = createSendOtpProcessor({
      ...scene,
      ...quiet,
      sendAttempts,
      numberLists,
      jobGate,
      sendTimeoutMs: 5_000,
    });
    for (let i = 0; i < 5; i++) scene.sendCircuit.enter()?.settle('failure');
    const id = await scene.send();
    const worker = new Worker(queueNames.sendOtp, (job, token) => process(job as never, token), {
      connection: redis,
      prefix: queuePrefix,
    });
    cleanups.push(() => worker.close());
    await until(() => kept('circuit_open') === 1);
    const states = new Set<string>();
    await until(async () => states.add(await scene.queue.queues[0].getJobState(id)).has('waiting'));
    expect(states, 'its place in the line').not.toContain('delayed');
    expect(await scene.store.otps.find('shop', id)).toMatchObject({ status: 'queued' });
    clock.advance(openMs);
    closed = false;
    expect(await scene.settled(id)).toBe('sent');
    expect(seen.sends).toBe(1);
  });
});

describe('a half-open circuit', () => {
  it('lets one send through, and claims no other job until that one is answered', async () => {
    await set({ maxSendRetries: 0 });
    const startAgain = await refuseConnections();
    await scene.start();
    await statuses(await send(5));
    const waiting = await send(50, 5);
    await startAgain();
    const held = holdSends();
    clock.advance(openMs);
    await until(() => held.count() === 1);
    seen.most = 1;
    // Every background task of the worker has its turn meanwhile.
    const looks = watchLooks();
    await until(() => looks() > 2);
    expect(seen.most).toBe(1);
    expect(kept('circuit_open')).toBe(0);
    held.endOldest();
    // As many as a worker begins with.
    await until(() => held.count() === 16);
    instead = (call) => call();
    for (let i = 0; i < 16; i++) held.endOldest();
    await statuses(waiting);
    expect(seen.most).toBe(16);
  });

  it('is probed while earlier sends still hang', async () => {
    await set({ maxResendsAfterUnknown: 0 });
    await scene.start();
    const hanging = Array.from({ length: 3 }, () => scene.send({ to: reserved('10') }));
    await Promise.all(hanging);
    await until(() => seen.underWay === 3);
    await statuses(await Promise.all(Array.from({ length: 5 }, () => scene.send({ to: reserved('11') }))));
    expect(events()).toContain('circuit.opened');
    const id = await scene.send();
    clock.advance(openMs);
    expect(await scene.settled(id)).toBe('sent');
    await verifies();
    expect(seen.underWay).toBe(3);
    await scene.simulator.close();
  });
});

describe('while sends hang', () => {
  it('fewer are in flight, verifications are answered, and concurrency recovers', async () => {
    await set({ maxResendsAfterUnknown: 10 });
    const held = holdSends();
    await scene.start();
    await send(300);
    await until(() => held.count() === 16);
    // Accepted sends let more be made at a time.
    const growTo = async (most: number) => {
      while (held.count() < most) {
        const before = held.count();
        held.endOldest();
        await until(() => held.count() >= before);
      }
    };
    await growTo(20);
    // One of 20 times out: too few for the circuit.
    held.endOldest({ kind: 'unknown', reason: 'timeout' });
    for (let i = 0; i < 15; i++) held.endOldest();
    await until(() => held.count() >= 10);
    seen.most = seen.underWay;
    for (let i = 0; i < 5; i++) {
      held.endOldest();
      await until(() => held.count() >= 10);
    }
    expect(seen.most).toBeLessThanOrEqual(11);
    await verifies();
    expect(scene.sendCircuit.state).toBe('closed');
    expect(await scene.queue.queues[0].getWaitingCount()).toBeGreaterThan(0);

    await growTo(20);
    instead = (call) => call();
    while (held.count() > 0) held.endOldest();
  });
});

/** A verification is answered while sends fail. */
async function verifies(): Promise<void> {
  const call = {
    app: 'shop',
    isTest: false,
    uuid: 'bd9a1ff0-4f2c-11eb-9b62-008cfaff44de',
    smsId: '1',
    to: number(),
    code: '123456',
    validMinutes: 5,
    senderId: null,
  };
  expect(await scene.provider.verify(call)).toMatchObject({ kind: 'unrecognised' });
}

describe('the retry budget', () => {
  it.each([
    ['a retry', '31'],
    ['a resend', '32'],
  ])('delays %s without counting it, and allows it later', async (_what, lastDigits) => {
    await set({ maxSendRetries: 1, maxResendsAfterUnknown: 1 });
    await scene.start();
    const call = {
      app: 'shop',
      isTest: false,
      to: number(),
      message: '%OTP%',
      unicode: false,
      senderId: null,
      callNumber: 2,
    };
    const window = { leaveBy: momentIn(5_000), endBy: performance.now() + 5_000 };
    for (let i = 0; i < 10; i++)
      expect(await scene.provider.send(call, window)).toMatchObject({ kind: 'accepted' });
    const id = await scene.send({ to: reserved(lastDigits) });
    await until(() => kept('retry_budget') > 0);
    expect(scene.simulator.state.number(reserved(lastDigits).e164).calls).toBe(1);
    clock.advance(10_000);
    expect(await scene.settled(id)).toBe('sent');
    expect(scene.simulator.state.number(reserved(lastDigits).e164).calls).toBe(2);
  });
});
