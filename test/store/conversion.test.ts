import { beforeEach, describe, expect, it } from 'vitest';
import { wantedEvents } from '../../src/store/script.js';
import type { Store } from '../../src/store/store.js';
import { createConversionWatch } from '../../src/workers/sweeper.js';
import { faultRow, full } from '../support/fault-table.js';
import { accepted, admitted, claimed, number, testStore } from '../support/otps.js';
import { seededRandom } from '../support/random.js';
import { connect } from '../support/redis.js';
import { type RedisClock, redisClock } from '../support/redis-clock.js';

const redis = await connect();
let clock: RedisClock;
let store: Store;
beforeEach(async () => {
  await redis.flushdb();
  clock = redisClock(redis);
  store = testStore(clock.redis, { fraudGuard: 'enforce', events: wantedEvents(['conversion.low']) });
});

/** Of `count` OTPs that were sent now, `verified` are verified at once. */
async function traffic(
  count: number,
  { verified = 0, app = 'shop', isTest = false, to = number() } = {},
): Promise<void> {
  const otp = { app, to, isTest, sentAt: clock.now() };
  await Promise.all([
    ...Array.from({ length: count }, () => store.conversion.note(otp, 'sent')),
    ...Array.from({ length: verified }, () => store.conversion.note(otp, 'verified')),
  ]);
}

describe('OTPs spread over many number ranges, none of them verified', () => {
  const count = full ? 2_000 : 300;
  it(`${count} over as many ranges: the guard refuses none, and an alarm tells app and country`, async () => {
    const send = async (n: number) => {
      const operator = ['12', '13', '16', '17', '19'][n % 5];
      const to = number(`+60${operator}${200 + Math.floor(n / 5)}0000`);
      const id = await admitted(store, { to });
      await store.sendAttempts.settle(await claimed(store, id), accepted());
    };
    for (let n = 0; n < count; n += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, i) => send(n + i)));
      await clock.advance(1_000);
    }
    await clock.advance(120_000);
    const { raised } = await store.conversion.judge();
    faultRow(
      `${count.toLocaleString('en')} OTPs over as many number ranges, none verified`,
      { alarms: raised.length, refused: 0 },
      'A3',
    );
    expect(raised).toMatchObject([{ app: 'shop', country: 'MY', verified: 0 }]);
    expect(await store.conversion.alarms()).toMatchObject([{ app: 'shop', country: 'MY', verified: 0 }]);
    expect(await store.ranges.limited()).toEqual([]);
    expect((await store.events.read()).map(({ event }) => event)).toMatchObject([
      { type: 'conversion.low', about: { app: 'shop', country: 'MY', verified: 0 } },
    ]);
  });
});

describe('the alarm of an app and country', () => {
  it('is raised by 200 sent at 35 % verified, and neither by fewer nor by more verified', async () => {
    await traffic(200, { app: 'low', verified: 70 });
    await traffic(199, { app: 'few' });
    await traffic(200, { app: 'well', verified: 71 });
    await clock.advance(120_000);
    expect((await store.conversion.judge()).raised).toEqual([
      { app: 'low', country: 'MY', sent: 200, verified: 70 },
    ]);
  });

  it('waits until people had a minute to type the codes', async () => {
    await traffic(1_000);
    for (let i = 0; i < 11; i++) {
      expect((await store.conversion.judge()).raised).toEqual([]);
      await clock.advance(5_000);
    }
    await clock.advance(60_000 + 5_000);
    expect((await store.conversion.judge()).raised).toHaveLength(1);
  });

  it('is raised by 500 of a day that were pumped slowly', async () => {
    let raised = 0;
    for (let sent = 0; sent < 600; sent += 50) {
      await traffic(50);
      await clock.advance(3_600_000);
      const judged = await store.conversion.judge();
      raised += judged.raised.length;
      if (judged.raised.length > 0) expect(judged.raised).toMatchObject([{ sent: 500, verified: 0 }]);
    }
    expect(raised).toBe(1);
  });

  it('stays while it goes on, tells once, and ends an hour after that', async () => {
    for (let i = 0; i < 6; i++) {
      await traffic(250);
      await clock.advance(240_000);
      await store.conversion.judge();
    }
    expect((await store.events.read()).length).toBe(1);
    const [alarm] = await store.conversion.alarms();
    await clock.advance((alarm?.ends ?? 0) - clock.now() - 1);
    expect((await store.conversion.judge()).ended).toEqual([]);
    await clock.advance(1);
    const { ended } = await store.conversion.judge();
    expect(ended).toMatchObject([{ app: 'shop', country: 'MY' }]);
    expect(await store.conversion.alarms()).toEqual([]);
  });

  it('leaves nothing behind once nothing was sent for a day', async () => {
    await traffic(10);
    await clock.advance(90_000_000);
    await store.conversion.judge();
    expect(await redis.keys('isms:{conversion}:counts')).toEqual([]);
  });

  it('counts each country by itself, and no OTP to a test number', async () => {
    await traffic(200, { to: number('+6591234567') });
    await traffic(200, { verified: 170 });
    await traffic(500, { app: 'tester', isTest: true });
    await clock.advance(120_000);
    const { raised } = await store.conversion.judge();
    expect(raised.map(({ app, country }) => [app, country])).toEqual([['shop', 'SG']]);
  });

  it('counts an OTP once, however often its outcome is written down', async () => {
    const claim = await claimed(store, await admitted(store));
    for (let i = 0; i < 3; i++) await store.sendAttempts.settle(claim, accepted());
    for (let i = 0; i < 5; i++) await redis.ping();
    await traffic(198);
    await clock.advance(120_000);
    expect((await store.conversion.judge()).raised).toEqual([]);
  });

  it('is logged by one worker of all when it begins, and when it ends', async () => {
    const lines: object[] = [];
    const log = (fields: object) => void lines.push(fields);
    const logger = { info: log, warn: log, error: log };
    const watches = [1, 2].map(() => createConversionWatch({ store, logger }));
    const runAll = async () => {
      await redis.del('isms:{sending}:lease:conversion');
      await Promise.all(watches.map((watch) => watch.run()));
    };
    await traffic(300);
    await clock.advance(120_000);
    await runAll();
    await clock.advance(3_600_000);
    await runAll();
    expect(lines).toEqual([
      { event: 'conversion.low', app: 'shop', country: 'MY', sent: 300, verified: 0 },
      { event: 'conversion.recovered', app: 'shop', country: 'MY' },
    ]);
  });
});

/** The day of test/store/number-ranges.test.ts, and a small app beside it; a share of both is never verified. */
describe('a normal day', () => {
  it('raises no alarm', { timeout: full ? 600_000 : 120_000 }, async () => {
    const total = full ? 60_000 : 10_000;
    const stepMs = full ? 10_000 : 120_000;
    const random = seededRandom(20_261_128);
    let waiting: { typesAt: number; otp: Parameters<Store['conversion']['note']>[0] }[] = [];
    const raised: object[] = [];
    const step = async () => {
      await clock.advance(stepMs);
      const typed = waiting.filter(({ typesAt }) => typesAt <= clock.now());
      waiting = waiting.filter(({ typesAt }) => typesAt > clock.now());
      await Promise.all(typed.map(({ otp }) => store.conversion.note(otp, 'verified')));
      raised.push(...(await store.conversion.judge()).raised);
    };
    let sentAt = clock.now();
    let notes: Promise<void>[] = [];
    for (let n = 0; n < total; n++) {
      const rush = n > total * 0.7 && n < total * 0.85 ? 0.35 : 1.2;
      sentAt += Math.round((86_400_000 / total) * rush * 2 * random());
      while (sentAt > clock.now() + stepMs) {
        await Promise.all(notes);
        notes = [];
        await step();
      }
      const otp = { app: n % 100 === 0 ? 'small' : 'shop', to: number(), isTest: false, sentAt };
      notes.push(store.conversion.note(otp, 'sent'));
      if (random() < 0.85) waiting.push({ typesAt: sentAt + 5_000 + 85_000 * random(), otp });
    }
    faultRow(`a normal day of ${total} OTPs, none of them an attack`, { alarms: raised.length }, 'A3');
    expect(raised).toEqual([]);
  });
});
