import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partitionOfId } from '../../src/otp/otp-id.js';
import type { SendOtpQueue } from '../../src/queues/send-otp.js';
import { keys } from '../../src/store/keys.js';
import { createSweeper } from '../../src/workers/sweeper.js';
import { admitted, number, request } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, type Scene } from '../support/workers.js';

const redis = await connect();
let scene: Scene;

beforeEach(async () => {
  await redis.flushdb();
  scene = await createScene(redis);
});
afterEach(() => scene.close());

const addedAgain = () => scene.log.filter(({ event }) => event === 'otp.job_added_again');

/** Makes the OTP's turn with the sweeper come now. */
async function makeDue(id: string): Promise<void> {
  for (const key of await redis.keys('*:due')) await redis.zadd(key, 'XX', 1, id);
}

describe('the sweeper', () => {
  it('adds a lost job again, and the OTP is sent once', async () => {
    const id = await scene.send();
    await scene.queue.remove(id);
    await makeDue(id);
    await scene.start();
    expect(await scene.settled(id)).toBe('sent');
    expect(scene.simulator.state.number(number().e164)).toEqual({ calls: 1, sms: 1 });
    expect(addedAgain()).toHaveLength(1);
  });

  it('adds a job again that ended before its queued OTP, and the OTP is sent once', async () => {
    const id = await scene.send();
    await scene.queue.queues[0].pause();
    const workers = await scene.start();
    const job = await scene.queue.queues[0].getJob(id);
    await workers.close(20_000);
    // As a crash between an OTP's record and its job would leave them.
    await redis
      .multi()
      .lrem('{isms}:otp-send:wait', 0, id)
      .zadd('{isms}:otp-send:failed', Date.now(), id)
      .exec();
    await redis.hset(`{isms}:otp-send:${id}`, 'finishedOn', Date.now(), 'failedReason', 'lost');
    expect(await job?.getState()).toBe('failed');
    await scene.queue.queues[0].resume();
    await makeDue(id);
    await scene.start();
    expect(await scene.settled(id)).toBe('sent');
    expect(scene.simulator.state.number(number().e164)).toEqual({ calls: 1, sms: 1 });
  });

  it('adds the other jobs when one cannot be added, and that one later', async () => {
    const ids = await Promise.all([1, 2, 3].map(() => admitted(scene.store)));
    let failing = true;
    const sendOtpQueue: SendOtpQueue = {
      ...scene.queue,
      add: async (otp) => {
        if (failing && otp.id === ids[0]) throw new Error('Connection is closed.');
        return await scene.queue.add(otp);
      },
    };
    const { store, logger, metrics } = scene;
    const sweep = async () => {
      for (const id of ids) await makeDue(id);
      await redis.del(...(await redis.keys('*:lease:*')), 'none');
      await createSweeper({
        ...{ batchQueue: scene.batchQueue, store },
        sendOtpQueue,
        retentionSeconds: 60,
        logger,
        metrics,
      }).run();
      return await Promise.all(ids.map(async (id) => (await scene.queue.queues[0].getJob(id)) !== undefined));
    };
    expect(await sweep()).toEqual([false, true, true]);
    failing = false;
    expect(await sweep()).toEqual([true, true, true]);
  });

  it('has lines of a batch that lost their jobs wait for their release again', async () => {
    const { store, queue, logger, metrics } = scene;
    const batch = (await store.batches.open('shop', null)) ?? '';
    const lines = ['0123456601', '0123456602', '0123456603'].map((to) => ({
      request: request({ to: number(to) }),
      text: '',
    }));
    const reserved = (await store.batches.reserve({ batch, app: 'shop' }, 0, lines)) ?? [];
    await store.otps.admitMany(
      reserved.flatMap((place, i) =>
        place && place !== 'reused'
          ? [{ request: lines[i]?.request ?? request(), reserved: { batch, ...place } }]
          : [],
      ),
    );
    const single = await admitted(store);
    const { waitingLines } = store;
    const released = await waitingLines.release(batch, 2, await waitingLines.count(batch));
    expect(released).toHaveLength(2);
    expect(await waitingLines.count(batch)).toMatchObject({ waiting: 1, inFlight: 2 });
    for (const { otp } of released) await makeDue(otp.id);
    await makeDue(single);
    await createSweeper({
      store,
      sendOtpQueue: queue,
      batchQueue: scene.batchQueue,
      retentionSeconds: 60,
      logger,
      metrics,
    }).run();
    expect(addedAgain()).toHaveLength(3);
    expect(await waitingLines.count(batch)).toMatchObject({ waiting: 3, inFlight: 0 });
    expect(await queue.queues[0].getJobCounts('waiting', 'prioritized')).toEqual({
      waiting: 1,
      prioritized: 0,
    });
    expect(await queue.queues[0].getJobState(single)).toBe('waiting');
  });

  it('does not add a job that still waits', async () => {
    const id = await scene.send();
    await scene.queue.queues[0].pause();
    await makeDue(id);
    await scene.start();
    const due = keys.due(partitionOfId(id) ?? '');
    await expect.poll(() => redis.zscore(due, id), { timeout: 10_000 }).not.toBe('1');
    expect(await scene.queue.queues[0].getJobState(id)).toBe('waiting');
    expect(addedAgain()).toEqual([]);
  });

  it('deletes jobs whose retention has ended', async () => {
    const workers = await scene.start();
    const id = await scene.send();
    await scene.settled(id);
    await workers.close(20_000);
    await redis.del(...(await redis.keys('*:lease:*')));
    const { store, queue: sendOtpQueue, logger, metrics } = scene;
    await createSweeper({
      ...{ batchQueue: scene.batchQueue, store },
      sendOtpQueue,
      retentionSeconds: 0,
      logger,
      metrics,
    }).run();
    expect(await sendOtpQueue.queues[0].getJob(id)).toBeUndefined();
  });
});
