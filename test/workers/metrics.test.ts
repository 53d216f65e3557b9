import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSweeper } from '../../src/workers/sweeper.js';
import { number } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { samplesOf } from '../support/samples.js';
import { createScene, type Scene } from '../support/workers.js';

const redis = await connect();
let scene: Scene;

beforeEach(() => redis.flushdb());
afterEach(() => scene.close());

const samples = async () => samplesOf((await scene.metrics.exposition()).text);
const send = (to: string) => scene.send({ to: number(to) });

describe('the metrics of a worker', () => {
  it('count accepted sends by lane and country, with their time to send', async () => {
    scene = await createScene(redis);
    const single = await send('0123456701');
    const bulk = await send('0123456702');
    await scene.queue.remove(bulk);
    const otp = await scene.store.otps.find('shop', bulk);
    if (otp) await scene.queue.addBulk('batch', [otp]);
    await scene.start();
    for (const id of [single, bulk]) expect(await scene.settled(id)).toBe('sent');
    const found = await samples();
    expect(found).toMatchObject({
      'isms_otp_sent_total{app="shop",country="MY",lane="single"}': 1,
      'isms_otp_sent_total{app="shop",country="MY",lane="bulk"}': 1,
      'isms_otp_time_to_send_seconds_count{lane="single"}': 1,
    });
    const waited = found['isms_otp_time_to_send_seconds_sum{lane="single"}'];
    const sent = await scene.store.otps.find('shop', single);
    expect(waited).toBeCloseTo(((sent?.sentAt ?? 0) - (sent?.createdAt ?? 0)) / 1_000);
  });

  it('count failed OTPs by code', async () => {
    scene = await createScene(redis);
    await scene.start();
    expect(await scene.settled(await send('0190000002'))).toBe('failed');
    expect(await samples()).toMatchObject({ 'isms_otp_failed_total{app="shop",code="invalid_number"}': 1 });
  });

  it('count an unknown outcome once, and the resend before it', async () => {
    scene = await createScene(redis);
    await scene.start();
    expect(await scene.settled(await send('0190000021'))).toBe('unknown');
    expect(await samples()).toMatchObject({
      'isms_otp_unknown_total{app="shop"}': 1,
      'isms_otp_resends_total{app="shop"}': 1,
    });
  });

  it('count retries of sends proven unsent, by reason', async () => {
    scene = await createScene(redis);
    await scene.start();
    expect(await scene.settled(await send('0190000031'))).toBe('sent');
    const found = await samples();
    expect(found['isms_otp_retries_total{reason="too_many_requests"}']).toBe(1);
    expect(Object.keys(found).some((name) => name.startsWith('isms_otp_resends_total{'))).toBe(false);
  });

  it('count an expired OTP once, by sweeper or worker', async () => {
    scene = await createScene(redis);
    const taken = await scene.send({ to: number('0123456703'), sendDeadlineSeconds: 0.1 });
    const swept = await scene.send({ to: number('0123456704'), sendDeadlineSeconds: 0.1 });
    await scene.queue.remove(swept);
    for (const id of [taken, swept]) expect(await scene.settled(id)).toBe('expired');
    await scene.start();
    const name = 'isms_otp_failed_total{app="shop",code="not_sent_in_time"}';
    await expect.poll(async () => (await samples())[name], { timeout: 10_000 }).toBe(2);
    const taker = async () => await scene.queue.queues[0].getJobState(taken);
    await expect.poll(taker, { timeout: 10_000 }).toBe('failed');
    await redis.del(...(await redis.keys('*:lease:*')), 'none');
    await createSweeper({ ...scene, sendOtpQueue: scene.queue, retentionSeconds: 60 }).run();
    expect((await samples())[name]).toBe(2);
  });

  it('count the unknown outcome of a dead worker', async () => {
    scene = await createScene(redis, { sendLeaseMs: 1_000, maxResendsAfterUnknown: 0 });
    const id = await send('0123456705');
    expect((await scene.store.sendAttempts.claim(id, 'of-a-dead-worker')).kind).toBe('claimed');
    expect(await scene.settled(id)).toBe('unknown');
    await scene.start();
    const name = 'isms_otp_unknown_total{app="shop"}';
    await expect.poll(async () => (await samples())[name], { timeout: 10_000 }).toBe(1);
  });
});
