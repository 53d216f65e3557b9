import { describe, expect, it } from 'vitest';
import { addJobs } from '../../src/queues/add-jobs.js';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { request, testStore } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const [queue] = createSendOtpQueue({ connection: redis, onError: () => {} }).queues;
/** All of a job but when it was added; BullMQ writes its id a second time into its options. */
const stored = async (id: string) => {
  const { timestamp, opts: options = '', ...fields } = await redis.hgetall(queue.toKey(id));
  const { jobId, ...given } = JSON.parse(options);
  return { ...fields, opts: given, minutes: Math.round(Number(timestamp) / 60_000) };
};
const data = { id: 'x', app: 'shop', to: '+6012•••789' };
const opts = { attempts: 3, backoff: { type: 'custom' }, priority: 0 as const };
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
    const sendOtpQueue = createSendOtpQueue({ connection: redis, onError: () => {} });
    const asked = request();
    const callOf = await sendOtpQueue.jobCalls();
    const jobOf = (id: string) => callOf?.({ id, app: asked.app, to: asked.to }) ?? { keys: [], args: [] };
    const admission = await testStore(redis).otps.admit(asked, null, { jobOf });
    const [own, theirs] = ['otp' in admission ? admission.otp.id : '', 'sendOtp'];
    await sendOtpQueue.add({ id: theirs, app: asked.app, to: asked.to });
    // Its data holds its id.
    const plain = async (id: string) => JSON.parse(JSON.stringify(await stored(id)).replaceAll(id, 'id'));
    expect(await plain(own)).toEqual(await plain(theirs));
    expect((await queue.getWaiting(0, -1)).map(({ id }) => id)).toEqual(
      expect.arrayContaining([own, theirs]),
    );
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
