import { Worker } from 'bullmq';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Otp } from '../../src/otp/otp.js';
import { queueNames, queuePrefix } from '../../src/queues/queues.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { number, request, testStore } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const store = testStore(redis);
const sendOtpQueue = createSendOtpQueue({ connection: redis, onError: () => {} });
const [queue] = sendOtpQueue.queues;

beforeEach(async () => {
  await redis.flushdb();
});

async function newOtp(): Promise<Otp> {
  const admission = await store.otps.admit(request({ to: number('0187654321') }), null);
  if (!('otp' in admission)) throw new Error(admission.kind);
  return admission.otp;
}

describe('the send queue', () => {
  it('stores only the id, the app and a masked number', async () => {
    const otp = await newOtp();
    await sendOtpQueue.add(otp);
    const job = await queue.getJob(otp.id);
    expect(job?.data).toEqual({ id: otp.id, app: 'shop', to: '+60******321' });
    const raw = JSON.stringify(await redis.hgetall(queue.toKey(otp.id)));
    expect(raw).not.toContain('87654');
  });

  it('adds an OTP once, also when repeated', async () => {
    const otp = await newOtp();
    await Promise.all(Array.from({ length: 10 }, () => sendOtpQueue.add(otp)));
    expect(await queue.getJobCounts()).toMatchObject({ waiting: 1 });
  });

  it('finds the OTPs without a job', async () => {
    const [lost, queued] = [await newOtp(), await newOtp()];
    await sendOtpQueue.add(queued);
    expect(await sendOtpQueue.withoutJob([lost, queued])).toEqual({ missing: [lost], unsure: null });
  });

  it('removes the job of a cancelled OTP', async () => {
    const otp = await newOtp();
    await sendOtpQueue.add(otp);
    await sendOtpQueue.remove(otp.id);
    expect(await sendOtpQueue.withoutJob([otp])).toEqual({ missing: [otp], unsure: null });
  });

  it('keeps the job of an OTP that was sent before it was cancelled', async () => {
    const otp = await newOtp();
    await sendOtpQueue.add(otp);
    const worker = new Worker(queueNames.sendOtp, async () => ({}), {
      connection: redis,
      prefix: queuePrefix,
    });
    await expect.poll(() => queue.getJobState(otp.id), { timeout: 20_000 }).toBe('completed');
    await worker.close();
    await sendOtpQueue.remove(otp.id);
    expect(await queue.getJob(otp.id)).toBeDefined();
  });

  it('deletes old ended jobs while no other job ends', async () => {
    const otp = await newOtp();
    await sendOtpQueue.add(otp);
    const worker = new Worker(queueNames.sendOtp, async () => ({}), {
      connection: redis,
      prefix: queuePrefix,
    });
    await expect.poll(() => queue.getJobState(otp.id), { timeout: 20_000 }).toBe('completed');
    await worker.close();
    await sendOtpQueue.clean(60_000);
    expect(await queue.getJob(otp.id)).toBeDefined();
    await sendOtpQueue.clean(0);
    expect(await queue.getJob(otp.id)).toBeUndefined();
  });
});
