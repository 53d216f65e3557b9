import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setAppPaused } from '../../src/producer/app-pause.js';
import { number, request, sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, type Scene, uploadBatch } from '../support/workers.js';

const redis = await connect();
let scene: Scene;
/** Apps of the SMS that iSMS accepted, in their order. */
let calls: string[];

beforeEach(async () => {
  await redis.flushdb();
  calls = [];
  scene = await createScene(
    redis,
    {},
    {
      watch: (provider) => ({
        ...provider,
        send: async (otp, window) => {
          calls.push(otp.app);
          return await provider.send(otp, window);
        },
      }),
    },
  );
});
afterEach(() => scene.close());

let nth = 0;
const nextNumber = () => number(`+6012${String(nth++).padStart(7, '0')}`);
const pause = (paused: boolean) => setAppPaused(scene, 'shop', paused);
const sentOf = (app: string) => calls.filter((one) => one === app).length;
const until = async (condition: () => boolean | Promise<boolean>) => {
  while (!(await condition())) await sleep(20);
};

/** Uploads so many OTPs of the app as a batch; resolves with its key in Redis. */
const upload = (count: number) =>
  uploadBatch(
    scene,
    Array.from({ length: count }, () => request({ to: nextNumber(), sendDeadlineSeconds: 3_600 })),
  );

describe('a paused app', { timeout: 60_000 }, () => {
  it('makes no call, also by workers that start meanwhile; its OTPs are sent once it is resumed', async () => {
    const waiting = await Promise.all(Array.from({ length: 20 }, () => scene.send({ to: nextNumber() })));
    await pause(true);
    await scene.start();
    const others = Array.from({ length: 20 }, () => scene.send({ app: 'bank', to: nextNumber() }));
    await Promise.all(others);
    await until(async () => sentOf('bank') === 20 && (await scene.queue.backlog()).delayed === 20);
    expect(sentOf('shop')).toBe(0);
    await pause(false);
    for (const id of waiting) expect(await scene.settled(id)).toBe('sent');
    expect(sentOf('shop')).toBe(20);
  });

  it('has the jobs of its OTPs end at their deadline', async () => {
    await pause(true);
    await pause(false);
    const id = await scene.send({ to: nextNumber(), sendDeadlineSeconds: 3 });
    await pause(true);
    await scene.start();
    expect(await scene.settled(id)).toBe('expired');
    await until(async () => (await scene.queue.queues[0].getJob(id))?.isFailed() ?? false);
    expect(calls).toEqual([]);
  });

  it('has its batches wait for it, visibly, without a place in the send queue', async () => {
    scene.simulator.state.change({ latencyMs: 200 });
    const batch = await upload(400);
    await scene.start();
    await until(() => calls.length > 20);
    await pause(true);
    await until(async () => (await scene.store.waitingLines.count(batch)).inFlight === 0);
    const before = calls.length;
    expect(await scene.queue.backlog()).toEqual({ single: 0, bulk: 0, delayed: 0 });
    await until(async () => (await scene.store.waitingLines.active())[0]?.waiting === 400 - before);
    expect(await scene.store.waitingLines.active()).toMatchObject([{ batch, waitsFor: 'app_paused' }]);
    await scene.send({ app: 'bank', to: nextNumber() });
    await until(() => sentOf('bank') === 1);
    expect(sentOf('shop')).toBe(before);
    await pause(false);
    await until(() => sentOf('shop') === 400);
  });
});
