import { Worker } from 'bullmq';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { queueNames, queuePrefix } from '../../src/queues/queues.js';
import {
  operatorPauseKeys,
  type SendOtpPayload,
  type SendOtpResult,
  type sendOtpJob,
} from '../../src/queues/send-otp.js';
import { keys } from '../../src/store/keys.js';
import type { SendAttempts } from '../../src/store/send-attempts.js';
import {
  createSendOtpProcessor,
  type SendOtpDependencies,
  settleDelayMs,
} from '../../src/workers/send-otp.js';

import { accepted, claimed, number, refused, request } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, quiet, type Scene, uploadBatch } from '../support/workers.js';

const [operatorPauseKey = ''] = operatorPauseKeys(1);
const redis = await connect();
let scene: Scene;

/** The simulator’s reserved numbers (docs/simulator.md). */
const reserved = (lastDigits: string) => number(`+601900000${lastDigits}`);
const calls = (to: { e164: string }) => scene.simulator.state.number(to.e164);

beforeEach(async () => {
  await redis.flushdb();
  scene = await createScene(redis);
});
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  await scene.close();
});

const find = (id: string) => scene.store.otps.find('shop', id);
const jobState = async (id: string) => await scene.queue.queues[0].getJobState(id);

async function jobIn(state: string, id: string) {
  await expect.poll(() => jobState(id), { timeout: 20_000 }).toBe(state);
  return await scene.queue.queues[0].getJob(id);
}

/** Waits until a worker has taken the job so many times. */
async function takenTimes(count: number, id: string) {
  const taken = async () => (await scene.queue.queues[0].getJob(id))?.attemptsStarted;
  await expect.poll(taken, { timeout: 20_000 }).toBeGreaterThanOrEqual(count);
}

describe('a send', () => {
  it('writes uuid and smsId into the record and the job’s return value', async () => {
    await scene.start();
    const id = await scene.send();
    expect(await scene.settled(id)).toBe('sent');
    const otp = await find(id);
    expect(otp?.uuid).toMatch(/^[0-9a-f-]{36}$/);
    expect((await jobIn('completed', id))?.returnvalue).toEqual({ uuid: otp?.uuid, smsId: otp?.smsId });
    expect(calls(number())).toEqual({ calls: 1, sms: 1 });
  });

  it('shows no whole number in the job, the log or the name of a key', async () => {
    await scene.start();
    const id = await scene.send({ to: number('0187654321') });
    await scene.settled(id);
    const job = JSON.stringify((await jobIn('completed', id))?.toJSON());
    expect(job).toContain('+60******321');
    const everything = [job, JSON.stringify(scene.log), JSON.stringify(await redis.keys('*'))].join();
    expect(everything).not.toContain('8765432');
  });

  it('that iSMS rejects fails with the reason on record and job, and is not retried', async () => {
    await scene.start();
    const to = reserved('02');
    const id = await scene.send({ to });
    expect(await scene.settled(id)).toBe('failed');
    expect(await find(id)).toMatchObject({ failure: 'invalid_number' });
    const job = await jobIn('failed', id);
    expect(job?.failedReason).toMatch(/^invalid_number: /);
    expect(job?.stacktrace?.join('')).toBe('');
    expect(calls(to)).toEqual({ calls: 1, sms: 0 });
  });

  it('to a number that was denied meanwhile fails without a call, single and in a batch', async () => {
    const to = number('+60133456789');
    const lines = Array.from({ length: 30 }, (_, n) => request({ to: number(`+6012000${1_000 + n}`) }));
    const batch = await uploadBatch(scene, lines);
    const id = await scene.send({ to });
    for (const digits of ['6012', '60133456789']) {
      await scene.store.numberLists.set({ list: 'deny', digits, shown: '', app: 'shop', until: null });
    }
    await scene.send({ app: 'bank', to });
    await scene.start();
    expect(await scene.settled(id)).toBe('failed');
    expect(await find(id)).toMatchObject({ failure: 'recipient_denied' });
    const failed = async () => (await scene.store.batches.find('shop', `batch_${batch}`))?.counts.failed;
    await expect.poll(failed, { timeout: 20_000 }).toBe(30);
    await expect.poll(() => calls(to), { timeout: 20_000 }).toEqual({ calls: 1, sms: 1 });
    expect(scene.simulator.state.calls.send).toBe(1);
  });

  it('that iSMS answers with 429 is retried', async () => {
    await scene.start();
    const to = reserved('31');
    const id = await scene.send({ to });
    expect(await scene.settled(id)).toBe('sent');
    expect(calls(to)).toEqual({ calls: 2, sms: 1 });
  });

  it.each([
    ['hangs', '20'],
    ['is reset', '21'],
    ['is truncated', '22'],
    ['is HTML', '24'],
    ['is empty', '25'],
  ])('whose reply %s is resent once and then ends as unknown', async (_, lastDigits) => {
    await scene.close();
    scene = await createScene(redis, { sendLeaseMs: 1_000 });
    await scene.start();
    const to = reserved(lastDigits);
    const id = await scene.send({ to });
    expect(await scene.settled(id)).toBe('unknown');
    expect(calls(to).calls).toBe(2);
    expect((await jobIn('failed', id))?.failedReason).toMatch(/^outcome_unknown: /);
  });

  it('whose worker died is made by another worker after the attempt has ended', async () => {
    await scene.close();
    scene = await createScene(redis, { sendLeaseMs: 2_000 });
    const id = await scene.send();
    const dead = await scene.store.sendAttempts.claim(id, 'a worker that died before its call');
    await scene.start();
    expect(await scene.settled(id)).toBe('sent');
    const endedAt = dead.kind === 'claimed' ? dead.claim.claimedAt + 2_000 : Number.NaN;
    expect((await find(id))?.sentAt).toBeGreaterThanOrEqual(endedAt);
    expect((await jobIn('completed', id))?.returnvalue.uuid).toBeTruthy();
    expect(calls(number()).calls).toBe(1);
  });

  it('is not repeated when the operator retries its finished job', async () => {
    await scene.start();
    const id = await scene.send();
    await scene.settled(id);
    const job = await jobIn('completed', id);
    const { returnvalue } = job ?? {};
    await job?.retry('completed');
    await takenTimes(2, id);
    expect((await jobIn('completed', id))?.returnvalue).toEqual(returnvalue);
    expect(returnvalue?.uuid).toMatch(/-/);
    expect(calls(number()).calls).toBe(1);
  });

  it('keeps its failure when the operator retries its failed job', async () => {
    await scene.start();
    const to = reserved('02');
    const id = await scene.send({ to });
    await scene.settled(id);
    await (await jobIn('failed', id))?.retry('failed');
    await takenTimes(2, id);
    expect((await jobIn('failed', id))?.failedReason).toMatch(/^invalid_number/);
    expect(calls(to).calls).toBe(1);
  });

  it('that was cancelled in the queue makes no call', async () => {
    const id = await scene.send();
    await scene.store.otps.cancel('shop', id);
    await scene.start();
    expect((await jobIn('completed', id))?.returnvalue).toEqual({ uuid: null, smsId: null });
    expect(calls(number()).calls).toBe(0);
  });

  it('whose deadline passed while it waited expires instead of going out late', async () => {
    const id = await scene.send({ sendDeadlineSeconds: 0.05 });
    await expect.poll(async () => (await find(id))?.status).toBe('expired');
    await scene.start();
    expect((await jobIn('failed', id))?.failedReason).toMatch(/^not_sent_in_time/);
    expect(calls(number()).calls).toBe(0);
  });

  it('whose record is gone fails without a call', async () => {
    const id = await scene.send();
    await redis.del(...(await redis.keys(`*}:${id}`)));
    await scene.start();
    expect((await jobIn('failed', id))?.failedReason).toMatch(/^record_gone/);
    expect(calls(number()).calls).toBe(0);
  });
});

describe('a corrupt record', () => {
  const without = (field: string) => (record: Record<string, unknown>) =>
    JSON.stringify({ ...record, [field]: undefined });
  const withEncrypted = (change: (encrypted: string) => string) => (record: Record<string, unknown>) =>
    JSON.stringify({ ...record, encrypted: change(String(record['encrypted'])) });

  it.each([
    ['that is not JSON', () => '{"id":"otp_'],
    ['without its deadline', without('sendDeadline')],
    ['with an unknown status', (record: object) => JSON.stringify(record).replace('"queued"', '"lost"')],
    ['of another OTP', (record: object) => JSON.stringify(record).replace('"id":"otp_', '"id":"otp_x')],
    ['with a changed encrypted part', withEncrypted((encrypted) => `${encrypted.slice(0, -4)}AAAA`)],
    ['without its encrypted part', without('encrypted')],
  ])('%s fails its job at once, with the reason, one log line and no call', async (_, broken) => {
    const id = await scene.send();
    const key = keys.recordOfId(id);
    await redis.set(key, broken(JSON.parse((await redis.get(key)) ?? '{}')), 'KEEPTTL');
    await scene.start();
    const job = await jobIn('failed', id);
    expect(job?.failedReason).toMatch(/^record_unreadable: /);
    expect(job?.attemptsMade).toBe(1);
    expect(calls(number()).calls).toBe(0);
    const about = scene.log.filter(({ event }) => event === 'job.failed' || event === 'otp.unreadable');
    expect(about).toEqual([{ level: 'error', event: 'otp.unreadable', otpId: id }]);
  });

  it('that is not a string fails its job', async () => {
    const id = await scene.send();
    await redis.del(keys.recordOfId(id));
    await redis.lpush(keys.recordOfId(id), 'x');
    await scene.start();
    expect((await jobIn('failed', id))?.failedReason).toMatch(/^record_unreadable: /);
  });

  it('is rewritten from the worker’s copy when it broke during the call', async () => {
    const id = await scene.send();
    const claim = await claimed(scene.store, id);
    await redis.set(keys.recordOfId(id), 'broken');
    await scene.store.sendAttempts.settle(claim, accepted());
    expect(await find(id)).toMatchObject({ status: 'sent', uuid: 'uuid-1' });
  });
});

describe('account trouble', () => {
  it('pauses sending at once, refuses new OTPs, and loses no accepted OTP', async () => {
    scene.simulator.state.change({ trouble: 'insufficient_credits' });
    await scene.start();
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, i) => scene.send({ to: number(`01234500${10 + i}`.slice(0, 10)) })),
    );
    await expect
      .poll(() => scene.store.sendingPause.read())
      .toMatchObject({ trouble: 'insufficient_credits' });
    const { queues } = scene.queue;
    await expect
      .poll(() => queues[0].getJobCounts('waiting', 'active', 'delayed'), { timeout: 20_000 })
      .toEqual({ waiting: 100, active: 0, delayed: 0 });
    expect(scene.simulator.state.calls.send).toBeLessThanOrEqual(20);
    const statuses = await Promise.all(ids.map(async (id) => (await find(id))?.status));
    expect(new Set(statuses)).toEqual(new Set(['queued']));
    expect(scene.log.filter(({ event }) => event === 'sending.paused')).toHaveLength(1);
  });

  it('ends without an operator once the balance call succeeds', async () => {
    scene.simulator.state.change({ trouble: 'authentication_failed' });
    await scene.start();
    const id = await scene.send();
    await expect
      .poll(() => scene.log.some(({ event }) => event === 'sending.paused'), { timeout: 20_000 })
      .toBe(true);
    scene.simulator.state.change({ trouble: null });
    // Its turn to ask comes every ten seconds.
    await redis.del(keys.lease('probe'));
    expect(await scene.settled(id)).toBe('sent');
    await expect.poll(() => scene.log.filter(({ event }) => event === 'sending.resumed')).toHaveLength(1);
    expect(calls(number()).sms).toBe(1);
  });

  it('does not lift the operator’s own pause', async () => {
    await scene.start();
    await scene.queue.queues[0].pause();
    expect(await redis.hexists(operatorPauseKey, 'paused')).toBe(1);
    await scene.store.sendingPause.report({
      trouble: 'ip_not_allowed',
      claimedAt: Date.now() + 1e4,
    });
    await scene.store.sendingPause.resume();
    expect(await redis.hexists(operatorPauseKey, 'paused')).toBe(1);
    expect(await scene.store.otps.admit(request(), null)).toMatchObject(
      refused('sending_paused', { reason: 'operator' }),
    );
  });
});

describe('the send processor', () => {
  /** Runs jobs with some parts replaced, without the rest of a worker. */
  function run(parts: Partial<SendOtpDependencies>): void {
    const { sendAttempts, numberLists } = scene.store;
    const { provider, logger, metrics } = scene;
    const processor = createSendOtpProcessor({
      ...quiet,
      sendAttempts,
      numberLists,
      provider,
      logger,
      metrics,
      sendTimeoutMs: 5_000,
      ...parts,
    });
    const worker = new Worker<SendOtpPayload, SendOtpResult, typeof sendOtpJob>(
      queueNames.sendOtp,
      (job, token) => processor(job, token),
      {
        connection: redis,
        prefix: queuePrefix,
      },
    );
    cleanups.push(() => worker.close());
  }

  it('puts back a job that it received while sending is paused', async () => {
    const id = await scene.send();
    run({ jobGate: { ...quiet.jobGate, closed: true } });
    await takenTimes(2, id);
    expect(await find(id)).toMatchObject({ status: 'queued' });
    expect(calls(number()).calls).toBe(0);
  });

  it('retries until Redis records the outcome', async () => {
    let failures = 0;
    const failing: SendAttempts = {
      ...scene.store.sendAttempts,
      settle: async (claim, outcome) => {
        failures += 1;
        if (failures <= 2) throw new Error('OOM command not allowed when used memory > maxmemory');
        return await scene.store.sendAttempts.settle(claim, outcome);
      },
    };
    const id = await scene.send();
    run({ sendAttempts: failing });
    expect(await scene.settled(id)).toBe('sent');
    expect(calls(number()).calls).toBe(1);
    expect(scene.log.filter(({ event }) => event === 'otp.settle_failed')).toHaveLength(2);
  });
});

describe('an outcome that Redis cannot record', () => {
  /** Milliseconds after the first refusal at which it is offered again, until 20 s after the attempt's end. */
  const offers = (attemptMs: number) => {
    const times: number[] = [];
    for (let at = 0, waited = 0; at < attemptMs + 20_000; times.push(at)) {
      waited = settleDelayMs(waited, attemptMs - at);
      at += waited;
    }
    return times;
  };
  const gaps = (times: number[]) => times.map((at, i) => at - (times[i - 1] ?? 0));

  it('is retried at least every 500 ms during its attempt, the last time just before the end', () => {
    for (const attemptMs of [2_000, 32_000]) {
      const within = offers(attemptMs).filter((at) => at < attemptMs);
      expect(Math.max(...gaps(within))).toBeLessThanOrEqual(500);
      expect(attemptMs - (within.at(-1) ?? 0)).toBeLessThanOrEqual(500);
    }
  });

  it('is retried less often afterwards, but at least every 5 s', () => {
    const after = gaps(offers(2_000)).filter((ms) => ms > 500);
    expect(after).toEqual([1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
  });
});

describe('closing a worker', () => {
  it('finishes its sends: an answered call never becomes unknown', async () => {
    await scene.close();
    scene = await createScene(redis);
    scene.simulator.state.change({ latencyMs: 800 });
    const workers = await scene.start();
    const ids = await Promise.all(Array.from({ length: 10 }, () => scene.send()));
    await expect.poll(() => scene.simulator.state.calls.send, { timeout: 20_000 }).toBe(10);
    const waiting = await scene.send();
    await workers.close(20_000);
    const statuses = await Promise.all(ids.map(async (id) => (await find(id))?.status));
    expect(new Set(statuses)).toEqual(new Set(['sent']));
    expect((await find(waiting))?.status).toMatch(/queued|sent/);
  });
});
