import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SendOutcome } from '../../src/otp/outcome.js';
import type { Provider } from '../../src/otp/provider.js';
import { createEnqueuer } from '../../src/producer/enqueue.js';
import { number, refused, request } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, type Scene } from '../support/workers.js';

const redis = await connect();
let scene: Scene;
let refuses: (nth: number) => boolean;
let refusal: SendOutcome;

/** Refuses at once, while good sends take their time: the order of answers is not the order of calls. */
const watch = (provider: Provider): Provider => ({
  ...provider,
  send: async (call, window) =>
    refuses(Number(call.to.national.slice(-4))) ? refusal : await provider.send(call, window),
});

beforeEach(async () => {
  await redis.flushdb();
  refusal = { kind: 'unrecognised', failure: 'rejected', text: 'Nombor tidak sah' };
  scene = await createScene(redis, { sendLeaseMs: 20_000 }, { watch });
});
afterEach(() => scene.close());

const nth = (n: number) => number(`+6012345${String(n).padStart(4, '0')}`);
const send = (count: number) =>
  Promise.all(Array.from({ length: count }, (_, n) => scene.send({ to: nth(n), sendDeadlineSeconds: 300 })));
const until = async (condition: () => boolean) => {
  while (!condition()) await sleep(20);
};
const events = (event: string) => scene.log.filter((line) => line.event === event);
const enqueuer = () =>
  createEnqueuer({
    ...{ store: scene.store, sendOtpQueue: scene.queue, batchQueue: scene.batchQueue, logger: scene.logger },
    settings: { contentPolicy: 'off', fraudGuardEnforces: false },
  });

describe('one bad number in ten, with an unrecognised refusal sooner than good ones are accepted', () => {
  it('never pauses sending, and each is refused once, for good', { timeout: 60_000 }, async () => {
    refuses = (n) => n % 10 === 0;
    scene.simulator.state.change({ latencyMs: 100 });
    const ids = await send(150);
    await scene.start();
    const statuses = await Promise.all(ids.map((id) => scene.settled(id)));
    expect(statuses).toEqual(ids.map((_, n) => (refuses(n) ? 'failed' : 'sent')));
    expect(events('sending.paused')).toEqual([]);
    const unrecognised = scene.log.filter((line) => line['outcome'] === 'unrecognised');
    expect(unrecognised).toHaveLength(15);
    expect(unrecognised[0]).toMatchObject({ refusal: 'Nombor tidak sah', status: 'queued' });
    expect((await scene.store.otps.find('shop', ids[0] ?? ''))?.failure).toBe('rejected');
  });
});

describe('an app whose 200 lines all have an unrecognised refusal', () => {
  it('delays no other app, and is on hold itself', { timeout: 60_000 }, async () => {
    refuses = (n) => n < 200;
    const dead = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        scene.send({ app: 'mall', to: nth(n), sendDeadlineSeconds: 300 }),
      ),
    );
    await scene.start();
    await scene.start();
    let sent = 0;
    for (let afterwards = 0; afterwards < 10; afterwards += events('sending.paused').length) {
      // Rejects where it is not admitted.
      const id = await scene.send({ to: nth(1_000 + sent) });
      expect(await scene.settled(id)).toBe('sent');
      sent += 1;
    }
    expect(scene.simulator.state.calls.send).toBe(sent);
    expect(events('sending.paused')).toMatchObject([
      { app: 'mall', trouble: 'unrecognised_refusal', refusal: 'Nombor tidak sah' },
    ]);
    expect(scene.log.filter((line) => line['outcome'] === 'unrecognised').length).toBeLessThanOrEqual(40);
    const admission = await scene.store.otps.admit(request({ app: 'mall', to: nth(500) }), null);
    expect(admission).toMatchObject(refused('sending_paused', { reason: 'unrecognised_refusal' }));
    const statuses = await Promise.all(dead.map(async (id) => await scene.store.otps.find('mall', id)));
    expect(new Set(statuses.map((otp) => otp?.status))).toEqual(new Set(['queued']));
  });

  it('causes no rejection of another app’s OTPs by its waiting lines', {
    timeout: 120_000,
  }, async () => {
    refuses = (n) => n < 1_000;
    const { enqueue, enqueueMany } = enqueuer();
    const login = async (n: number) => {
      const { kind } = await enqueue(
        request({ app: 'bank', to: nth(1_000 + n), sendDeadlineSeconds: 1 }),
        null,
      );
      return kind;
    };
    await scene.start();
    expect(await login(0)).toBe('created');
    const lines = Array.from({ length: 400 }, (_, n) => ({
      request: request({ app: 'mall', to: nth(n), sendDeadlineSeconds: 3_600 }),
      idempotency: null,
    }));
    const batch = (await scene.store.batches.open('mall', null)) ?? '';
    const ids = scene.store.batches.newIds(lines.map(({ request }) => ({ request, text: '' })));
    await enqueueMany(
      { batch, app: 'mall', name: null, startAt: null },
      lines.map((line, n) => ({ ...line, reserved: { batch, id: '', ...ids[n] } })),
    );
    await until(() => events('sending.paused').length > 0);
    const waiting = async () => (await scene.queue.backlog()).delayed;
    await expect.poll(waiting, { message: 'lines of `mall`', timeout: 60_000 }).toBeGreaterThan(100);
    const logins: string[] = [];
    while (logins.length < 18) {
      logins.push(await login(logins.length + 1));
      await sleep(500);
    }
    expect(new Set(logins)).toEqual(new Set(['created']));
  });

  it('uses none of the calls a second that other apps need', { timeout: 60_000 }, async () => {
    refuses = (n) => n < 100;
    for (let n = 0; n < 100; n++) await scene.send({ app: 'mall', to: nth(n), sendDeadlineSeconds: 300 });
    await scene.start({ everyMs: 60_000, sendsPerSecond: 10 });
    await until(() => events('sending.paused').length > 0);
    const waits: number[] = [];
    for (let n = 100; n < 110; n++) {
      const began = performance.now();
      expect(await scene.settled(await scene.send({ to: nth(n) }))).toBe('sent');
      waits.push(performance.now() - began);
      await sleep(200);
    }
    // At 10 a second, the 100 jobs would take all calls of 10 s again and again.
    expect(waits.sort((a, b) => a - b)[5]).toBeLessThan(5_000);
  });

  it('spends no trial on OTPs that ended, and the next one that can be sent ends the hold', {
    timeout: 60_000,
  }, async () => {
    refuses = (n) => n < 100;
    const waiting = Array.from({ length: 100 }, (_, n) => n);
    const ended = await Promise.all(
      waiting.map((n) => scene.send({ to: nth(n), sendDeadlineSeconds: n < 50 ? 6 : 300 })),
    );
    await scene.start();
    await until(() => events('sending.paused').length > 0);
    for (const id of ended.slice(50)) await scene.store.otps.cancel('shop', id);
    // A trial for each of them, one in 10 s or more, would outlast this test's time.
    for (let left = 1; left > 0; await sleep(100)) {
      const { single, delayed } = await scene.queue.backlog();
      left = single + delayed;
    }
    expect(events('sending.resumed')).toEqual([]);
    for (let n = 100; events('sending.resumed').length === 0; n++) {
      // Rejects while none may be tried.
      await scene.send({ to: nth(n) }).catch(() => {});
      await sleep(500);
    }
  });

  it('resumes once a call of it is accepted, and a second refusal is final', {
    timeout: 60_000,
  }, async () => {
    refuses = () => true;
    const ids = await send(20);
    await scene.start();
    await until(() => events('sending.paused').length > 0);
    refuses = (n) => n === 3;
    await until(() => events('sending.resumed').length > 0);
    const statuses = await Promise.all(ids.map((id) => scene.settled(id)));
    expect(statuses).toEqual(ids.map((_, n) => (n === 3 ? 'failed' : 'sent')));
    expect(events('sending.resumed')).toMatchObject([{ app: 'shop' }]);
    // While the app is on hold the OTP may be tried, and refused, without that counting.
    const refusedBetween = (from: number, to: number) =>
      scene.log
        .slice(from, to)
        .filter((line) => line['otpId'] === ids[3] && line['outcome'] === 'unrecognised').length;
    const [paused, resumed] = ['sending.paused', 'sending.resumed'].map((event) =>
      scene.log.findIndex((line) => line.event === event),
    );
    expect(refusedBetween(0, paused ?? 0)).toBeLessThanOrEqual(1);
    expect(refusedBetween(resumed ?? 0, scene.log.length)).toBeLessThanOrEqual(1);
  });
});

describe('bare error codes that may mean the account', () => {
  it('fail their OTPs, and put the app on hold after a few', { timeout: 30_000 }, async () => {
    refuses = () => true;
    refusal = { kind: 'rejected', failure: 'rejected', text: '-1013' };
    const ids = await send(150);
    await scene.start();
    await until(() => events('sending.paused').length > 0);
    const otps = await Promise.all(ids.map((id) => scene.store.otps.find('shop', id)));
    expect(otps.filter((otp) => otp?.status !== 'queued').length).toBeLessThanOrEqual(20);
  });
});

describe('a single OTP with an unrecognised refusal', () => {
  it('fails even when nothing else is sent', async () => {
    refuses = () => true;
    const [id = ''] = await send(1);
    await scene.start();
    expect(await scene.settled(id)).toBe('failed');
    expect(events('sending.paused')).toEqual([]);
  });
});

describe('an OTP that the balance cannot pay', () => {
  it('waits alone while others are sent', { timeout: 40_000 }, async () => {
    refuses = () => false;
    scene.simulator.state.change({ credits: 2 });
    await scene.start();
    const message = `${'long '.repeat(70)}%OTP%`;
    const dear = await scene.send({ to: nth(1), message, credits: 3 });
    await until(() => scene.log.some((line) => line['reason'] === 'insufficient_credits'));
    expect(await scene.settled(await scene.send({ to: nth(2) }))).toBe('sent');
    expect(await scene.store.otps.find('shop', dear)).toMatchObject({ status: 'queued' });
    expect(await scene.store.sendingPause.read()).toBeNull();
    expect(events('sending.paused')).toEqual([]);
  });

  it('pauses sending when no credit is left', async () => {
    refuses = () => false;
    scene.simulator.state.change({ credits: 0.5 });
    await scene.start();
    await scene.send({ to: nth(1), credits: 2 });
    await until(() => events('sending.paused').length > 0);
    expect(await scene.store.sendingPause.read()).toMatchObject({ trouble: 'insufficient_credits' });
  });

  it('is sent when the top-up came between the refusal and the balance call', {
    timeout: 60_000,
  }, async () => {
    const called = new Set<number>();
    refuses = (n) => n < 5 && !called.has(n) && called.add(n).has(n);
    refusal = { kind: 'account_trouble', trouble: 'insufficient_credits' };
    const ids = await send(30);
    await scene.start();
    const statuses = await Promise.all(ids.map((id) => scene.settled(id)));
    expect(statuses).toEqual(ids.map(() => 'sent'));
    expect(called.size).toBe(5);
    expect(scene.simulator.state.calls.send).toBe(30);
  });

  it('fails when the balance could pay it, others are accepted, and it is refused again', {
    timeout: 30_000,
  }, async () => {
    refuses = () => false;
    await scene.start();
    const refused = await scene.send({ to: number('+60190000001') });
    expect(await scene.settled(refused)).toBe('failed');
    expect(scene.simulator.state.number('+60190000001').calls).toBe(2);
    expect((await scene.store.otps.find('shop', refused))?.failure).toBe('insufficient_credits');
    expect(events('sending.paused')).toEqual([]);
  });
});
