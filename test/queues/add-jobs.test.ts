import { describe, expect, it } from 'vitest';
import type { OtpRequest } from '../../src/otp/otp.js';
import { partitionOfId } from '../../src/otp/otp-id.js';
import { addJobs } from '../../src/queues/add-jobs.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import type { Admission } from '../../src/store/admission.js';
import { keys } from '../../src/store/keys.js';
import { number, request, testStore } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const [queue] = createSendOtpQueue({ connection: redis, onError: () => {} }).queues;
/** All of a job but when it was added; BullMQ writes its id a second time into its options. */
const stored = async (id: string) => {
  const { timestamp, data, opts: options = '', ...fields } = await redis.hgetall(queue.toKey(id));
  const { jobId, ...given } = JSON.parse(options);
  return { ...fields, data, opts: given, minutes: Math.round(Number(timestamp) / 60_000) };
};
const data = { id: 'x', app: 'shop', to: '+6012•••789' };
const opts = { attempts: 3, backoff: { type: 'custom' }, priority: 0 as const };
const sendOtpQueue = createSendOtpQueue({ connection: redis, onError: () => {} });
/** Admits OTPs together with their jobs, in one call. */
const admitted = async (requests: readonly OtpRequest[]) => {
  const createJobCall = await sendOtpQueue.jobCallFactory();
  const asked = requests.map((each) => ({
    request: each,
    jobOf: (id: string) => createJobCall?.({ id, app: each.app, to: each.to }) ?? { keys: [], args: [] },
  }));
  return await testStore(redis, { recipientCooldownMs: 30_000 }).otps.admitMany(asked);
};
const idOf = (admission: Admission | Error | undefined) =>
  admission && 'otp' in admission ? admission.otp.id : '';
const events = async () =>
  (await redis.xrange(queue.toKey('events'), '-', '+')).flatMap(([, fields]) => fields);

describe('jobs that are added together', () => {
  it('are identical to those that BullMQ adds one by one', async () => {
    const [own, theirs] = ['own', 'theirs'];
    await queue.add('send-otp', data, { ...opts, jobId: theirs });
    await addJobs(redis, queue, [{ id: own, name: 'send-otp', data, opts: opts }]);
    expect(await stored(own)).toEqual(await stored(theirs));
    expect((await queue.getWaiting(0, -1)).map(({ id }) => id)).toEqual([theirs, own]);
    expect(await events()).toEqual(expect.arrayContaining([own, theirs]));
    expect(await (await queue.getJob(own))?.getState()).toBe('waiting');
  });

  it('are identical to one that is added as its OTP is admitted', async () => {
    const [admission] = await admitted([request()]);
    const [own, theirs] = [idOf(admission), 'sendOtp'];
    const { app, to } = request();
    await sendOtpQueue.add({ id: theirs, app, to });
    // Its data holds its id.
    const plain = async (id: string) => JSON.parse(JSON.stringify(await stored(id)).replaceAll(id, 'id'));
    expect(await plain(own)).toEqual(await plain(theirs));
    expect((await queue.getWaiting(0, -1)).map(({ id }) => id)).toEqual(
      expect.arrayContaining([own, theirs]),
    );
  });

  it('are added for admitted OTPs alone, of which the sweeper need not look soon', async () => {
    const asked = ['0123456001', '0123456001', '0123456002'].map((text) => request({ to: number(text) }));
    const admissions = await admitted(asked);
    expect(admissions.map((one) => 'kind' in one && one.kind)).toEqual(['created', 'refused', 'created']);
    for (const admission of [admissions[0], admissions[2]]) {
      const id = idOf(admission);
      expect(JSON.parse((await stored(id)).data ?? '')).toMatchObject({ id });
      const due = Number(await redis.zscore(keys.due(partitionOfId(id) ?? ''), id));
      expect(due).toBeGreaterThan(Date.now() + 60_000);
    }
  });

  it('leave no OTP behind that cannot have its job', async () => {
    const before = await redis.keys('isms:*:otp_*');
    await redis.rename(queue.toKey('wait'), 'waiting');
    await redis.set(queue.toKey('wait'), 'no list');
    const [failed] = await admitted([request({ to: number('0123456003') })]);
    await redis.rename('waiting', queue.toKey('wait'));
    expect(failed).toBeInstanceOf(Error);
    expect(await redis.keys('isms:*:otp_*')).toEqual(before);
  });

  it('are added once, also when repeated', async () => {
    const jobs = Array.from({ length: 300 }, (_, i) => ({
      id: `many-${i}`,
      name: 'send-otp',
      data,
      opts: opts,
    }));
    const count = () => queue.getJobCountByTypes('waiting');
    const before = await count();
    await Promise.all([addJobs(redis, queue, jobs), addJobs(redis, queue, jobs)]);
    expect((await count()) - before).toBe(300);
  });
});
