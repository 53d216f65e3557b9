import { Worker } from 'bullmq';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallWindow } from '../../src/otp/provider.js';
import { queueNames, queuePrefix } from '../../src/queues/queues.js';
import type { SendAttempts } from '../../src/store/send-attempts.js';
import { createPauseGate, type GateState } from '../../src/workers/pause-gate.js';
import { createSendOtpProcessor, type SendOtpDependencies } from '../../src/workers/send-otp.js';
import { number, sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, quiet, type Scene } from '../support/workers.js';

const redis = await connect();
let scene: Scene;
const cleanups: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  await redis.flushdb();
  scene = await createScene(redis, { sendLeaseMs: 5_000 });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  await scene.close();
});
const jobState = async (id: string) => await scene.queue.queues[0].getJobState(id);

function run(parts: Partial<SendOtpDependencies>): void {
  const { provider, logger, metrics } = scene;
  const { sendAttempts, numberLists } = scene.store;
  const processor = createSendOtpProcessor({
    sendAttempts,
    numberLists,
    ...quiet,
    provider,
    logger,
    metrics,
    sendTimeoutMs: 5_000,
    ...parts,
  });
  const worker = new Worker(queueNames.sendOtp, (job, token) => processor(job as never, token), {
    connection: redis,
    prefix: queuePrefix,
  });
  cleanups.push(() => worker.close());
}

describe('a worker’s processor', () => {
  it('lets a call start within one second of asking for the claim, and last for the time-out', async () => {
    const windows: CallWindow[] = [];
    let askedAt = 0;
    const slow: SendAttempts = {
      ...scene.store.sendAttempts,
      claim: async (id, token) => {
        askedAt = performance.now();
        const result = await scene.store.sendAttempts.claim(id, token);
        return result;
      },
    };
    const provider = {
      ...scene.provider,
      send: async (_call: unknown, window: CallWindow) => {
        windows.push(window);
        return { kind: 'accepted', uuid: 'u', smsId: '1' } as const;
      },
    };
    const id = await scene.send();
    const startedAt = performance.now();
    run({ sendAttempts: slow, provider });
    expect(await scene.settled(id)).toBe('sent');
    const [window] = windows;
    const begins = [(window?.leaveBy.monotonic ?? 0) - 1_000, (window?.endBy ?? 0) - 5_000];
    for (const began of begins) {
      expect(began).toBeGreaterThanOrEqual(startedAt);
      expect(began).toBeLessThanOrEqual(askedAt);
    }
  });

  it('makes no call when the claim took too long, and sends later', async () => {
    let slowOnce = 1_200;
    const slow: SendAttempts = {
      ...scene.store.sendAttempts,
      claim: async (id, token) => {
        const result = await scene.store.sendAttempts.claim(id, token);
        await sleep(slowOnce);
        slowOnce = 0;
        return result;
      },
    };
    const id = await scene.send();
    run({ sendAttempts: slow });
    expect(await scene.settled(id)).toBe('sent');
    expect(scene.simulator.state.number(number().e164)).toEqual({ calls: 1, sms: 1 });
    expect(scene.log.map(({ reason }) => reason)).toContain('stale_claim');
  });

  it('fails the job when the record was deleted before its outcome came', async () => {
    const late: SendAttempts = { ...scene.store.sendAttempts, settle: async () => null };
    const id = await scene.send();
    run({ sendAttempts: late });
    await expect.poll(() => jobState(id), { timeout: 20_000 }).toBe('failed');
    expect((await scene.queue.queues[0].getJob(id))?.failedReason).toMatch(/^record_gone/);
  });

  it('retries its job after an error of the gateway', async () => {
    let failures = 0;
    const failing: SendAttempts = {
      ...scene.store.sendAttempts,
      claim: async (id, token) => {
        failures += 1;
        if (failures === 1) throw new Error('MISCONF Redis is configured to save, but cannot');
        return await scene.store.sendAttempts.claim(id, token);
      },
    };
    const id = await scene.send();
    const processor = createSendOtpProcessor({
      ...scene,
      sendAttempts: failing,
      numberLists: scene.store.numberLists,
      ...quiet,
      sendTimeoutMs: 5_000,
    });
    const worker = new Worker(queueNames.sendOtp, (job, token) => processor(job as never, token), {
      connection: redis,
      prefix: queuePrefix,
      settings: { backoffStrategy: () => 10 },
    });
    cleanups.push(() => worker.close());
    expect(await scene.settled(id)).toBe('sent');
  });
});

describe('a worker without account trouble of its own', () => {
  it('pauses when another worker reports trouble, and resumes when another one saw it end', async () => {
    const changes: GateState[] = [];
    const gate = createPauseGate({
      ...scene,
      store: { ...scene.store, acquireLease: async () => false },
      now: () => 0,
      onChange: (state) => void changes.push(state),
      onResumed: () => {},
    });
    await gate.check();
    await scene.store.sendingPause.report({
      trouble: 'account_suspended',
      claimedAt: Date.now() + 1_000,
    });
    await gate.check();
    await scene.store.sendingPause.resume();
    await gate.check();
    expect(changes).toEqual(['closed', 'open']);
  });
});

it('a worker that meets account trouble takes no more jobs, also before it could report it', async () => {
  const changes: GateState[] = [];
  const { sendingPause } = scene.store;
  const gate = createPauseGate({
    ...scene,
    store: { ...scene.store, sendingPause: { ...sendingPause, report: () => new Promise(() => {}) } },
    now: () => 0,
    onChange: (state) => void changes.push(state),
    onResumed: () => {},
  });
  void gate.report({ trouble: 'account_suspended', claimedAt: Date.now() });
  expect([gate.state, changes]).toEqual(['closed', ['closed']]);
});

it('a job that stalled repeatedly is still processed', { timeout: 40_000 }, async () => {
  const id = await scene.send();
  await redis.hset(scene.queue.queues[0].toKey(id), 'stc', 500);
  await redis.lmove('{isms}:otp-send:wait', '{isms}:otp-send:active', 'LEFT', 'LEFT');
  await redis.sadd('{isms}:otp-send:stalled', id);
  await scene.start();
  expect(await scene.settled(id)).toBe('sent');
});

it('workers report to admission how many OTPs they finished', async () => {
  await scene.start();
  const ids = await Promise.all([1, 2, 3].map((n) => scene.send({ to: number(`012345000${n}`) })));
  for (const id of ids) await scene.settled(id);
  await expect.poll(() => scene.store.load.done(), { timeout: 10_000 }).toBe(3);
});

describe('OTPs to test numbers', () => {
  it('give no health signal about iSMS', async () => {
    const noted: string[] = [];
    run({ jobGate: { ...quiet.jobGate, note: ({ kind }) => void noted.push(kind) } });
    expect(await scene.settled(await scene.send({ isTest: true }))).toBe('sent');
    expect(noted).toEqual([]);
    expect(await scene.settled(await scene.send({ to: number('0123456781') }))).toBe('sent');
    expect(noted).toEqual(['accepted']);
  });
});

describe('a worker process', () => {
  it('raises an alarm for an app with low conversion', async () => {
    const otp = { app: 'shop', to: number(), isTest: false, sentAt: Date.now() - 180_000 };
    await Promise.all(Array.from({ length: 250 }, () => scene.store.conversion.note(otp, 'sent')));
    await scene.start();
    await expect
      .poll(() => scene.log.map((line) => 'event' in line && line.event), { timeout: 20_000 })
      .toContain('conversion.low');
    expect(await scene.store.conversion.alarms()).toMatchObject([{ app: 'shop', country: 'MY', sent: 250 }]);
  });
});
