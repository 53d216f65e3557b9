import { once } from 'node:events';
import type { Cluster } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { countName, slotMs } from '../../src/lib/tally.js';
import { connectForRequests, connectForWork } from '../../src/main/redis.js';
import { operatorPauseKeys } from '../../src/queues/send-otp.js';
import { createEncrypter } from '../../src/store/encryption.js';
import { keys } from '../../src/store/keys.js';
import type { OtpFilter } from '../../src/store/otp-list.js';
import {
  loadListScript,
  masterOf,
  mastersOf,
  type Policy,
  type RedisClient,
} from '../../src/store/script.js';
import { createStore, type Store } from '../../src/store/store.js';
import {
  accepted,
  balanceLimits,
  claimed,
  encryptionKey,
  number,
  policy,
  refused,
  request,
} from '../support/otps.js';
import { startRedis } from '../support/redis-topology.js';

const cluster = await startRedis({ cluster: true });
const redis = connectForWork(cluster.url);
await once(redis, 'ready');
afterAll(async () => {
  redis.disconnect();
  await cluster.stop();
});

const storeWith = (overrides: Partial<Policy> = {}, connection: RedisClient = redis): Store =>
  createStore({
    redis: connection,
    encrypter: createEncrypter([encryptionKey]),
    policy: { ...policy, ...overrides },
    operatorPauseKeys: operatorPauseKeys(3),
    balanceLimits,
  });
const store = storeWith();
let next = 0;
const fresh = () => number(`01230${String(next++).padStart(5, '0')}`);
/** Makes the reservation of an idempotency key for this OTP older than any admission takes. */
async function age(id: string): Promise<void> {
  for (const master of mastersOf(redis)) {
    for (const name of await master.keys('isms:*:idempotency')) {
      const held = JSON.parse((await master.get(name)) ?? '{}');
      if (held.id === id)
        await master.set(name, JSON.stringify({ ...held, at: held.at - 60_000 }), 'KEEPTTL');
    }
  }
}

/** Ids in the list of the app `shop`. */
const listedIds = async (filter: OtpFilter = {}) => {
  const reading = { after: null, most: 200, onUnreadable: () => null };
  return (await store.otps.readNext('shop', filter, reading)).otps.map(({ otp }) => otp.id);
};
/** Entries of all lists of an app, as they are stored. */
const listEntries = async (app: string) => {
  const names = await Promise.all(mastersOf(redis).map((master) => master.keys(`${keys.otpsOfApp(app)}*`)));
  return (await Promise.all(names.flat().map((name) => redis.lrange(name, 0, -1)))).flat();
};

const key = (name: string, body = '{}') => ({ endpoint: 'POST /v1/otps', key: name, body });

describe('on a cluster of three masters', () => {
  it('statistics of several apps are added and read', async () => {
    const at = Math.floor(Date.now() / slotMs) * slotMs;
    const otp = { to: { country: 'MY' }, purpose: 'login', template: 'reset' };
    const apps = ['shop', 'bank', 'clinic', 'school'];
    const names = apps.map((app) => countName({ ...otp, app }, 'sent', at));
    expect(await store.appStats.add(Object.fromEntries(names.map((name, i) => [name, i + 1])))).toEqual({});
    for (const by of ['status', 'country', 'purpose', 'template'] as const) {
      const span = { step: '5m', since: at, until: at + 1 } as const;
      const group = { status: '', country: 'MY', purpose: 'login', template: 'reset' }[by];
      expect(await store.appStats.read('clinic', by, span)).toEqual([{ at, group, counts: { sent: 3 } }]);
    }
  });

  it('an OTP is admitted, claimed, settled, verified and found by its reference', async () => {
    const admission = await store.otps.admit(request({ to: fresh(), reference: 'r-1' }), null);
    if (admission.kind !== 'created') throw new Error(admission.kind);
    const { id } = admission.otp;
    await store.sendAttempts.settle(await claimed(store, id), accepted());
    const verification = { app: 'shop', id, token: 't', replay: null };
    expect(await store.verificationAttempts.admit(verification)).toMatchObject({ kind: 'admitted' });
    expect(await store.verificationAttempts.settle(verification, 'correct')).toMatchObject({
      kind: 'verified',
    });
    expect(await store.otps.findByReference('shop', 'r-1')).toMatchObject([{ id, status: 'verified' }]);
    // Its app's list is in another slot, and written after the admission.
    await expect.poll(() => listedIds({ status: 'verified' })).toContain(id);
    const batch = 'C'.repeat(22);
    const lines = [4, 5, 7].map((line) => ({ line, batch, request: request({ to: fresh() }) }));
    const reserved = store.batches.newIds(lines.map((line) => ({ ...line, text: '' })));
    await store.otps.admitMany(
      lines.map(({ request, ...of }, i) => ({ request, reserved: { ...of, id: reserved[i]?.id ?? '' } })),
    );
    await expect
      .poll(() => listEntries('shop'))
      .toEqual(expect.arrayContaining([`${batch} 4 2`, `${batch} 7 1`]));
  });

  it('one OTP is admitted per idempotency key of many simultaneous requests', async () => {
    const to = fresh();
    const all = await Promise.all(
      Array.from({ length: 40 }, () => store.otps.admit(request({ to }), key('crowd'))),
    );
    const ids = new Set(all.map((admission) => ('otp' in admission ? admission.otp.id : admission.kind)));
    expect(ids.size).toBe(1);
    expect(await store.otps.admit(request({ to }), key('crowd'))).toMatchObject({ kind: 'replayed' });
    expect(await store.otps.admit(request({ to }), key('crowd', '{"a":1}'))).toMatchObject(
      refused('idempotency_key_reused'),
    );
  });

  it('a key whose admission broke off is in flight for another body, and the same body goes on with it', async () => {
    const strict = storeWith({ recipientCooldownMs: 60_000 });
    const to = fresh();
    const first = await strict.otps.admit(request({ to }), key('begun'));
    if (first.kind !== 'created') throw new Error(first.kind);
    await redis.del(keys.recordOfId(first.otp.id));
    expect(await store.otps.admit(request({ to }), key('begun', '{"a":1}'))).toMatchObject(
      refused('idempotency_in_flight'),
    );
    const again = await store.otps.admit(request({ to }), key('begun'));
    expect(again).toMatchObject({ kind: 'created', otp: { id: first.otp.id } });
  });

  it('of two that take over an abandoned key with other bodies, one is admitted', async () => {
    const strict = storeWith();
    const first = await strict.otps.admit(request({ to: fresh() }), key('abandoned'));
    if (first.kind !== 'created') throw new Error(first.kind);
    await redis.del(keys.recordOfId(first.otp.id));
    await age(first.otp.id);
    const body = '{"another":"body"}';
    const both = await Promise.all(
      [fresh(), fresh()].map((to) => store.otps.admit(request({ to }), key('abandoned', body))),
    );
    expect(both.map(({ kind }) => kind).sort()).toEqual(['created', 'refused']);
  });

  it('two requests that go on under one key admit one OTP, whichever is refused', async () => {
    const strict = storeWith({ recipientCooldownMs: 60_000 });
    const to = fresh();
    const both = await Promise.all([
      strict.otps.admit(request({ to }), key('shared')),
      storeWith({ recipientCooldownMs: 60_000 }).otps.admit(request({ to }), key('shared')),
    ]);
    const ids = both.map((admission) => ('otp' in admission ? admission.otp.id : admission.kind));
    expect(new Set(ids).size).toBe(1);
    const again = await strict.otps.admit(request({ to }), key('shared'));
    expect(again).toMatchObject({ kind: 'replayed', otp: { id: ids[0] } });
  });

  it('a refused request gives its key and its units back', async () => {
    const strict = storeWith({ recipientCooldownMs: 60_000, appPerSecond: 1_000, clientIpPer10Minutes: 3 });
    const [to, clientIp] = [fresh(), '192.0.2.7'];
    const ask = (name: string, number = to) =>
      strict.otps.admit(request({ to: number, clientIp }), key(name));
    expect(await ask('a')).toMatchObject({
      kind: 'created',
      quotas: expect.arrayContaining([expect.objectContaining({ name: 'client-ip', remaining: 2 })]),
    });
    for (let i = 0; i < 5; i++) expect(await ask(`b${i}`)).toMatchObject(refused('recipient_rate_limited'));
    expect(await ask('c', fresh())).toMatchObject({ kind: 'created' });
    expect(await ask('d', fresh())).toMatchObject({ kind: 'created' });
    expect(await ask('e', fresh())).toMatchObject(refused('client_ip_rate_limited'));
    expect(await ask('b0', fresh())).toMatchObject(refused('client_ip_rate_limited'));
  });

  it('exactly as many are admitted as a limit key may have, and a refused request gives its units back', async () => {
    const strict = storeWith({ recipientCooldownMs: 60_000 });
    const limitKeys = { user: 'u-1', device: 'd-1' };
    const keyLimits = new Map([
      ['user', { per10Minutes: 30, perDay: 20 }],
      ['device', { per10Minutes: 0, perDay: 50 }],
    ]);
    const ask = (to = fresh()) => strict.otps.admit(request({ to, limitKeys, keyLimits }), null);
    const to = fresh();
    expect(await ask(to)).toMatchObject({ kind: 'created' });
    for (let i = 0; i < 5; i++) expect(await ask(to)).toMatchObject(refused('recipient_rate_limited'));
    const all = await Promise.all(Array.from({ length: 60 }, () => ask()));
    expect(all.filter(({ kind }) => kind === 'created')).toHaveLength(19);
    expect(await ask()).toMatchObject(
      refused('limit_key_rate_limited', {
        quotas: [
          {
            name: 'limit-key-user-day',
            quota: 20,
            windowMs: 86_400_000,
            remaining: 0,
            resetMs: expect.any(Number),
          },
        ],
      }),
    );
    const withoutDay = new Map([...keyLimits, ['user', { per10Minutes: 30, perDay: 0 }]]);
    const last = await strict.otps.admit(request({ to: fresh(), limitKeys, keyLimits: withoutDay }), null);
    expect(last).toMatchObject({
      quotas: expect.arrayContaining([
        expect.objectContaining({ name: 'limit-key-user-10min', remaining: 9 }),
        expect.objectContaining({ name: 'limit-key-device-day', remaining: 29 }),
      ]),
    });
  });

  it('a refused request leaves no counter, and waits for the longest window of its limit keys', async () => {
    const windows = async () => {
      const names = await Promise.all(mastersOf(redis).map((master) => master.keys('*limit-key-*')));
      return Object.fromEntries(
        await Promise.all(names.flat().map(async (name) => [name, await redis.get(name)])),
      );
    };
    const before = await windows();
    const keyLimits = new Map([
      ['user', { per10Minutes: 1, perDay: 0 }],
      ['device', { per10Minutes: 1, perDay: 1 }],
    ]);
    const ask = (limitKeys: Record<string, string>) =>
      store.otps.admit(request({ to: fresh(), limitKeys, keyLimits }), null);
    expect(await ask({ device: 'd-9' })).toMatchObject({ kind: 'created' });
    const used = await windows();
    expect(Object.keys(used)).toHaveLength(Object.keys(before).length + 2);
    expect(await ask({ user: 'u-8', device: 'd-9' })).toMatchObject(
      refused('limit_key_rate_limited', { retryAfterMs: expect.closeTo(86_400_000, -5) }),
    );
    const perUser = new Map([...keyLimits, ['user', { per10Minutes: 0, perDay: 1 }]]);
    await store.otps.admit(
      request({ to: fresh(), limitKeys: { user: 'u-8', device: 'd-9' }, keyLimits: perUser }),
      null,
    );
    expect(await windows()).toEqual(used);
  });

  it('what is given back stays within a limit that was lowered meanwhile', async () => {
    const take = loadListScript(redis, 'limits/windows#take');
    const key = 'isms:{a}:window';
    await take([{ key, args: [10, 60_000, 8] }]);
    expect(await take([{ key, args: [3, 60_000, -1] }])).toEqual([[-1, 7, expect.any(Number)]]);
    expect(await take([{ key, args: [3, 60_000, 1] }])).toEqual([[0, 7, expect.any(Number)]]);
  });

  it('never more are admitted than an app may, however many ask at once', async () => {
    const strict = storeWith({ appPerSecond: 10 });
    const all = await Promise.all(
      Array.from({ length: 60 }, () => strict.otps.admit(request({ app: 'busy', to: fresh() }), null)),
    );
    expect(all.filter(({ kind }) => kind === 'created').length).toBeLessThanOrEqual(20);
    expect(all.filter(({ kind }) => kind === 'refused').length).toBeGreaterThanOrEqual(40);
  });

  it('either pause refuses new OTPs and still answers replays', async () => {
    const to = fresh();
    await store.otps.admit(request({ to }), key('before'));
    const [, second = ''] = operatorPauseKeys(3);
    await redis.hset(second, 'paused', '1');
    expect(await store.otps.admit(request({ to: fresh() }), null)).toMatchObject(
      refused('sending_paused', { reason: 'operator' }),
    );
    expect(await store.otps.admit(request({ to }), key('before'))).toMatchObject({ kind: 'replayed' });
    await redis.hdel(second, 'paused');
  });

  it('an app that an operator paused has its new OTPs refused, and no other app', async () => {
    await store.appPauses.pause('mall');
    expect(await store.otps.admit(request({ app: 'mall', to: fresh() }), null)).toMatchObject(
      refused('app_paused'),
    );
    expect(await store.otps.admit(request({ to: fresh() }), null)).toMatchObject({ kind: 'created' });
    await store.appPauses.resume('mall');
  });

  it('an app on hold has its new OTPs refused, and no other app', async () => {
    const refusals = Array.from({ length: 10 }, () => ({ to: fresh(), claimedAt: Date.now() }));
    await store.appHolds.noteRefusals({ app: 'mall', text: 'Tidak', refusals });
    expect(await store.otps.admit(request({ app: 'mall', to: fresh() }), null)).toMatchObject(
      refused('sending_paused', { reason: 'unrecognised_refusal' }),
    );
    expect(await store.otps.admit(request({ to: fresh() }), null)).toMatchObject({ kind: 'created' });
    await store.appHolds.noteAccepted(new Map([['mall', Date.now() + 60_000]]));
  });

  it('the toll-fraud guard watches ranges', async () => {
    const guarding = storeWith({ fraudGuard: 'enforce' });
    const pumped = (n: number) =>
      number(`0198${String(100_000 + n).slice(0, 2)}${String(n).padStart(4, '0')}`);
    const kinds: string[] = [];
    for (let n = 0; n < 25; n++) {
      kinds.push((await guarding.otps.admit(request({ app: 'pumped', to: pumped(n) }), null)).kind);
    }
    expect(kinds.filter((kind) => kind === 'created')).toHaveLength(20);
    expect(kinds.at(-1)).toBe('refused');
    expect(await guarding.ranges.limited()).toMatchObject([{ app: 'pumped', refused: 5 }]);
  });

  it('denied numbers are refused, also of an upload, and an earlier OTP is still answered', async () => {
    const [to, other] = [fresh(), fresh()];
    const key = { endpoint: 'POST /v1/otps', key: 'denied-later', body: '{}' };
    const created = await store.otps.admit(request({ to }), key);
    const entry = { digits: to.e164.slice(1), shown: to.masked, app: null, until: null };
    expect(await store.numberLists.set({ ...entry, list: 'deny' })).toBeNull();
    expect(await store.otps.admit(request({ to }), null)).toMatchObject(refused('recipient_denied'));
    const asked = [to, other].map((one) => ({ request: request({ to: one }) }));
    expect(await store.otps.admitMany(asked)).toMatchObject([
      refused('recipient_denied'),
      { kind: 'created' },
    ]);
    const replayed = await store.otps.admit(request({ to }), key);
    expect(replayed).toMatchObject({ kind: 'replayed' });
    expect('otp' in replayed && 'otp' in created && replayed.otp.id === created.otp.id).toBe(true);
    expect((await store.numberLists.read()).entries).toMatchObject([{ list: 'deny', shown: to.masked }]);
    expect(await store.numberLists.remove({ digits: entry.digits, app: null })).toBe(true);
    expect(await store.otps.admit(request({ to }), null)).toMatchObject({ kind: 'created' });
  });

  it('batches are reserved, counted, listed and cancelled', async () => {
    const batch = await store.batches.open('shop', 'upload');
    if (batch === null) throw new Error('cancelled');
    const lines = Array.from({ length: 100 }, () => ({ request: request({ to: fresh() }), text: '{}' }));
    const reserved = await store.batches.reserve({ batch, app: 'shop' }, 0, lines);
    const asked = lines.flatMap(({ request: one }, i) => {
      const place = reserved?.[i];
      return place && place !== 'reused' ? [{ request: one, reserved: { batch, ...place } }] : [];
    });
    const admissions = await store.otps.admitMany(asked);
    expect(admissions.map((admission) => 'kind' in admission && admission.kind)).toEqual(
      Array(100).fill('created'),
    );
    const id = `batch_${batch}`;
    expect(await store.batches.find('shop', id)).toMatchObject({ lines: 100, counts: { queued: 100 } });
    expect(await store.batches.lineIds(id, 98, 2)).toEqual(asked.slice(98).map((each) => each.reserved.id));
    await store.batches.cancel('shop', id);
    expect(await store.batches.find('shop', id)).toMatchObject({ counts: { queued: 0, cancelled: 100 } });
  });

  it('every master holds about a third of the OTPs', async () => {
    await store.otps.admitMany(Array.from({ length: 600 }, () => ({ request: request({ to: fresh() }) })));
    const sizes = await Promise.all(mastersOf(redis).map((master) => master.dbsize()));
    const all = sizes.reduce((sum, size) => sum + size, 0);
    for (const size of sizes) expect(size / all).toBeGreaterThan(0.25);
  });

  it('an OTP is accepted while the master of the list of its app is away, and is missing in the list', async () => {
    const failsFast = connectForRequests(cluster.url);
    failsFast.on('error', () => {});
    await expect.poll(() => failsFast.status).toBe('ready');
    const { otps } = storeWith({}, failsFast);
    const [, away] = cluster.servers;
    const isAway = (key: string) => masterOf(failsFast as Cluster, key).options.port === away?.port;
    const app = 'abcdefgh'.split('').find((name) => isAway(keys.otpsOfApp(name))) ?? '';
    const admit = async () => {
      const admission = await otps.admit(request({ app, to: fresh() }), null).catch(() => null);
      return admission?.kind === 'created' ? [admission.otp.id] : [];
    };
    const idsOf = async () => {
      const reading = { after: null, most: 200, onUnreadable: () => null };
      return (await otps.readNext(app, {}, reading)).otps.map(({ otp }) => otp.id);
    };
    const before = await admit();
    await expect.poll(idsOf).toEqual(before);
    await away?.kill();
    const accepted = (await Promise.all(Array.from({ length: 12 }, admit))).flat();
    expect(accepted.length).toBeGreaterThan(2);
    await away?.restart();
    const after = async () => {
      await admit();
      return (await idsOf()).length;
    };
    await expect.poll(after, { timeout: 20_000 }).toBeGreaterThan(1);
    expect((await idsOf()).filter((id) => accepted.includes(id))).toEqual([]);
    failsFast.disconnect();
  });
});
