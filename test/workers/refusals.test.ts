import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Provider } from '../../src/otp/provider.js';
import { number } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, type Scene } from '../support/workers.js';

const redis = await connect();
let scene: Scene;
let refuses: (nth: number) => boolean;

/** Refuses at once, while good sends take their time: the order of answers is not the order of calls. */
const watch = (provider: Provider): Provider => ({
  ...provider,
  send: async (call, window) =>
    refuses(Number(call.to.national.slice(-4)))
      ? { kind: 'unrecognised', failure: 'rejected', text: 'Nombor tidak sah' }
      : await provider.send(call, window),
});

beforeEach(async () => {
  await redis.flushdb();
  scene = await createScene(redis, { sendLeaseMs: 20_000 }, { watch });
});
afterEach(() => scene.close());

const nth = (n: number) => number(`+6012345${String(n).padStart(4, '0')}`);
const send = (count: number) =>
  Promise.all(Array.from({ length: count }, (_, n) => scene.send({ to: nth(n), sendWithinSeconds: 300 })));
const events = (event: string) => scene.log.filter((line) => line.event === event);

describe('one bad number in ten, refused in unknown words and sooner than good ones are accepted', () => {
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

describe('a single OTP refused in unknown words', () => {
  it('ends by itself when nothing else is sent', async () => {
    refuses = () => true;
    const [id = ''] = await send(1);
    await scene.start();
    expect(await scene.settled(id)).toBe('failed');
    expect(events('sending.paused')).toEqual([]);
  });
});

describe('an OTP that the balance cannot pay', () => {
  it('waits by itself while others are sent', { timeout: 40_000 }, async () => {
    refuses = () => false;
    scene.simulator.state.change({ credits: 2 });
    await scene.start();
    const message = `${'long '.repeat(70)}%OTP%`;
    const dear = await scene.send({ to: nth(1), message, credits: 3 });
    while (!scene.log.some((line) => line['reason'] === 'insufficient_credits')) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await scene.settled(await scene.send({ to: nth(2) }))).toBe('sent');
    expect(await scene.store.otps.find('shop', dear)).toMatchObject({ status: 'queued' });
    expect(await scene.store.sendingPause.read()).toBeNull();
    expect(events('sending.paused')).toEqual([]);
  });

  it('pauses sending where not even one credit is left', async () => {
    refuses = () => false;
    scene.simulator.state.change({ credits: 0.5 });
    await scene.start();
    await scene.send({ to: nth(1), credits: 2 });
    while (events('sending.paused').length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await scene.store.sendingPause.read()).toMatchObject({ trouble: 'insufficient_credits' });
  });

  it('is refused for good where the balance could pay it, and others are accepted', async () => {
    refuses = () => false;
    await scene.start();
    const refused = await scene.send({ to: number('+60190000001') });
    expect(await scene.settled(refused)).toBe('failed');
    expect((await scene.store.otps.find('shop', refused))?.failure).toBe('insufficient_credits');
    expect(events('sending.paused')).toEqual([]);
  });
});
