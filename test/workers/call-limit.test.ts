import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keys } from '../../src/store/keys.js';
import { createAppCallLimit, createCallLimit } from '../../src/workers/call-limit.js';
import { number, sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { createScene, type Scene } from '../support/workers.js';

const redis = await connect();
let scene: Scene;
/** When iSMS was called for each app, in ms since the test's begin. */
let calls: { app: string; at: number }[];

beforeEach(async () => {
  await redis.flushdb();
  calls = [];
  const began = performance.now();
  scene = await createScene(
    redis,
    {},
    {
      watch: (provider) => ({
        ...provider,
        send: async (otp, window) => {
          calls.push({ app: otp.app, at: performance.now() - began });
          return await provider.send(otp, window);
        },
      }),
    },
  );
});
afterEach(() => scene.close());

const timesOf = (app: string) => calls.filter((call) => call.app === app).map(({ at }) => at);

describe('the calls of an app a second', { timeout: 60_000 }, () => {
  it('stay within its limit in all workers together, and hold up no other app', async () => {
    const numbers = Array.from({ length: 60 }, (_, n) => number(`+6012${String(n).padStart(7, '0')}`));
    for (const [n, to] of numbers.entries()) await scene.send({ app: n % 2 === 0 ? 'shop' : 'bank', to });
    const options = { everyMs: 60_000, sendsPerSecondOf: (app: string) => (app === 'shop' ? 10 : 0) };
    await Promise.all([scene.start(options), scene.start(options)]);
    while (calls.length < 60) await sleep(20);
    const [shop, bank] = [timesOf('shop'), timesOf('bank')];
    expect([shop.length, bank.length]).toEqual([30, 30]);
    // Three windows: the first one begins with the first call.
    expect((shop.at(-1) ?? 0) - (shop[0] ?? 0)).toBeGreaterThan(1_900);
    for (const at of shop) {
      expect(shop.filter((other) => other >= at && other < at + 900).length).toBeLessThanOrEqual(20);
    }
    expect(bank.at(-1)).toBeLessThan(shop[20] ?? 0);
  });

  it('let those that wait come back one after the other, and a call that is not made is given back', async () => {
    const limit = createAppCallLimit(redis, () => 2);
    const asked = await Promise.all(Array.from({ length: 8 }, () => limit.take('shop')));
    const [first, second, ...waits] = asked;
    expect([typeof first, typeof second]).toEqual(['function', 'function']);
    const gaps = waits.slice(1).map((ms, i) => Math.round((Number(ms) - Number(waits[i])) / 500));
    expect(gaps).toEqual([1, 1, 1, 1, 1]);
    if (typeof first === 'function') await first();
    expect(typeof (await limit.take('shop'))).toBe('function');
    expect(typeof (await limit.take('bank'))).toBe('function');
  });
});

it.each(['of an app', 'of a queue'])('a call %s is given back only while its second lasts', async (of) => {
  const queue = { prefix: 'test', queueName: 'otp-send' };
  const ofQueue = createCallLimit(redis, { max: 1, duration: 60_000 });
  const ofApp = createAppCallLimit(redis, () => 1);
  const take = async () => {
    const taken = await (of === 'of an app' ? ofApp.take('shop') : ofQueue.take(queue));
    // However busy the machine is.
    await redis.pexpire(keys.appSends('shop'), 60_000);
    return taken;
  };
  const first = await take();
  if (typeof first === 'function') await first();
  const second = await take();
  const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
  if (typeof second === 'function') await second();
  now.mockRestore();
  expect([typeof first, typeof second, typeof (await take())]).toEqual(['function', 'function', 'number']);
});
