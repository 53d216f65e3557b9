import { Worker } from 'bullmq';
import { beforeEach, describe, expect, it } from 'vitest';
import type { overviewOf } from '../../../src/api/admin/overview-data.js';
import { recordStats } from '../../../src/main/shared-state.js';
import { createBatchQueue } from '../../../src/queues/batch.js';
import { queuePrefix } from '../../../src/queues/queues.js';
import { createSendOtpQueue } from '../../../src/queues/send-otp.js';
import { keys } from '../../../src/store/keys.js';
import { shownRange } from '../../../src/store/number-ranges.js';
import type { WaitReason } from '../../../src/store/waiting-lines.js';
import {
  accepted,
  accountTrouble,
  admitted,
  claimed,
  number,
  request,
  sentAfter,
} from '../../support/otps.js';
import { admin, expectProblem, settings, startGateway } from '../gateway.js';

const gateway = await startGateway({ policy: { fraudGuard: 'enforce' } });
const acting = await startGateway({ dependencies: { admin: { ...admin, actions: true } } });
const basic = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
const hourMs = 3_600_000;
const queue = createSendOtpQueue({ connection: gateway.redis, onError: () => {} });
const batchQueue = createBatchQueue(gateway.redis, () => {});

beforeEach(() => gateway.redis.flushdb());

const get = (path: string, headers: Record<string, string> = basic) =>
  gateway.call('GET', `/admin${path}`, { key: null, headers });
const post = (path: string, body: unknown, to = gateway) =>
  to.call('POST', `/admin${path}`, { key: null, headers: basic, body });
type Overview = Awaited<ReturnType<typeof overviewOf>>;
const overview = async (hours = 6) => (await get(`/overview.json?hours=${hours}`)).json as Overview;
/** A range without any limit. */
const limitedRange = {
  app: 'shop',
  slowUntil: 0,
  blockedUntil: 0,
  cappedUntil: 0,
  refused: 0,
  wouldRefuse: 0,
};
const away = () => Promise.reject(new Error('timed out'));
/** Stores what the gateway counted so far. */
const write = async () => {
  const recorder = recordStats({ store: gateway.store, sendOtpQueue: queue, metrics: gateway.metrics });
  await recorder.close();
};

describe('the overview', () => {
  it('serves every file of the page itself, cacheable for as long as it is the same', async () => {
    const page = await get('');
    expect(page.status).toBe(200);
    expect(page.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'self'");
    const parts = [...page.text.matchAll(/(?:href|src)="(\/admin\/assets\/[^"]+)"/g)].map(
      ([, path]) => path ?? '',
    );
    expect(parts).toHaveLength(4);
    for (const path of parts) {
      const part = await get(path.replace('/admin', ''));
      expect(part.status).toBe(200);
      expect(part.headers.get('Cache-Control')).toContain('immutable');
    }
    const script = await get(parts.find((path) => path.includes('overview.js'))?.replace('/admin', '') ?? '');
    const [imported = ''] = /charts\.js\?[0-9a-f]{12}/.exec(script.text) ?? [];
    expect((await get(`/assets/${imported}`)).headers.get('Cache-Control')).toContain('immutable');
    const ofAnotherVersion = await get('/assets/overview.js?0123456789ab');
    expect(ofAnotherVersion.headers.get('Cache-Control')).toBe('no-store');
    expect(page.text).not.toMatch(/(?:href|src)="https?:/);
  });

  it('shows the counts of all processes and the backlog', async () => {
    const before = await overview();
    await gateway.call('POST', '/v1/otps', { body: { to: '0123456801' } });
    await gateway.call('POST', '/v1/otps', { body: { to: '12' } });
    gateway.metrics.sent(sentAfter(300), 'single');
    gateway.metrics.sent(sentAfter(40_000), 'single');
    gateway.metrics.failed(request(), 'rejected');
    await write();
    const { points, waiting, hours } = await overview();
    expect(hours).toBe(6);
    expect(points).toHaveLength(before.points.length);
    expect(points.length).toBeGreaterThanOrEqual(72);
    expect(points.at(-1)).toMatchObject({
      accepted: 1,
      rejected: 1,
      sent: 2,
      failed: 1,
      waitedP50: 0.5,
      waitedP95: 60,
    });
    expect(waiting).toMatchObject({ single: 1, bulk: 0 });
  });

  it('counts a code as verified or not only once it can no longer be entered', async () => {
    const slot = (minutesAgo: number, values: Record<string, number>) => ({
      at: Date.now() - minutesAgo * 60_000,
      values,
    });
    const stats = {
      ...gateway.store.stats,
      read: async () => [
        slot(25, { sent: 10, 'verified:0': 4 }),
        slot(20, { sent: 10, 'verified:1': 3, 'verified:0': 5 }),
        slot(15, { sent: 1_000, 'verified:0': 3 }),
        slot(10, { 'verified:2': 1 }),
      ],
    };
    const rushed = await startGateway({ dependencies: { store: { ...gateway.store, stats } } });
    const { json } = await rushed.call('GET', '/admin/overview.json', { key: null, headers: basic });
    const { points } = json as Overview;
    expect(points.map(({ conversion }) => conversion)).toEqual([
      { sent: 10, verified: 7 },
      { sent: 10, verified: 6 },
      { sent: 0, verified: 0 },
      { sent: 0, verified: 0 },
    ]);
    expect(points.map(({ verified }) => verified)).toEqual([4, 8, 3, 1]);
  });

  it.each([
    [1, 13],
    [6, 73],
    [24, 97],
    [168, 85],
  ])('shows %d hours in about %d points', async (hours, count) => {
    expect(Math.abs((await overview(hours)).points.length - count)).toBeLessThanOrEqual(1);
  });

  it('has alarms for an account out of credits and a low balance, until both are over', async () => {
    const texts = async () => (await overview()).alarms.map(({ level, text }) => `${level}: ${text}`);
    expect(await texts()).toContainEqual('warning: The balance has not been read yet.');
    await gateway.store.balance.record({ credits: 0.4, expiresOn: '2030-01-01' });
    await gateway.store.sendingPause.report({
      trouble: accountTrouble.trouble,
      claimedAt: Date.now() + 1_000,
    });
    expect(await texts()).toEqual([
      'critical: Sending is paused: the iSMS account is out of credits. Top it up.',
      'warning: Only 0.4 credits are left.',
    ]);
    await gateway.store.sendingPause.resume();
    await gateway.store.balance.record({ credits: 5_000, expiresOn: '2030-01-01' });
    expect(await texts()).toEqual([]);
    const { balance } = await overview();
    expect(balance).toMatchObject({ credits: 5_000, low: false, expiresOn: '2030-01-01' });
    expect(balance?.curve.map(({ credits }) => credits)).toEqual([0.4, 5_000]);
  });

  it('does not call an account out of credits whose balance can pay a message', async () => {
    await gateway.store.balance.record({ credits: 7_998, expiresOn: '2030-01-01' });
    await gateway.store.sendingPause.report({
      trouble: accountTrouble.trouble,
      claimedAt: Date.now() + 1_000,
    });
    const [alarm] = (await overview()).alarms;
    expect(alarm?.text).toMatch(
      /^Sending is paused: iSMS refuses OTPs for lack of credits, though the balance was 7,998 credits \d s ago/,
    );
    await gateway.store.sendingPause.resume();
  });

  it('has an alarm for an app on hold that quotes the words of iSMS', async () => {
    const claimedAt = Date.now() + 1_000;
    const refusals = Array.from({ length: 10 }, (_, n) => ({ to: number(`012345678${n}`), claimedAt }));
    const { appHolds } = gateway.store;
    await appHolds.noteRefusals({ app: 'shop', text: 'Sistem tergendala', refusals });
    const texts = (await overview()).alarms.map(({ text }) => text);
    expect(texts).toContainEqual(
      expect.stringMatching(/^OTPs of shop have been on hold for \d s: .*"Sistem tergendala"/),
    );
    await appHolds.noteAccepted(new Map([['shop', claimedAt + 60_000]]));
    expect(await appHolds.read()).toEqual([]);
  });

  it.each([
    [{ appHolds: { read: away } }, 'apps on hold'],
    [{ appStats: { read: away } }, 'comparison of weeks'],
    [{ numberLists: { read: away } }, 'allowed and denied numbers'],
    [{ balance: { latest: away } }, 'balance'],
    [{ stats: { read: away }, conversion: { alarms: away } }, 'low conversions and statistics'],
    [{ waitingLines: { active: away } }, 'batches and lines waiting in batches'],
    [{ ranges: { limited: away }, budgets: { read: away } }, 'apps and limited number ranges'],
    [{ sendingPause: { reason: away } }, 'pause of sending'],
  ])('shows the rest when a part cannot be read, and names the part: %o', async (broken, names) => {
    await gateway.store.balance.record({ credits: 5_000, expiresOn: null });
    const store = { ...gateway.store };
    for (const [part, reads] of Object.entries(broken)) {
      Object.assign(store, { [part]: { ...store[part as keyof typeof store], ...reads } });
    }
    const blind = await startGateway({ dependencies: { store } });
    const { status, json } = await blind.call('GET', '/admin/overview.json', { key: null, headers: basic });
    expect(status).toBe(200);
    expect((json as Overview).alarms).toEqual([
      { level: 'warning', text: `Could not be read, so missing here: ${names}. Check Redis.` },
    ]);
    expect(json).toMatchObject({ waiting: { single: 0 }, batches: { shown: [] } });
  });

  it.each([1, 168])(
    'has alarms for an old balance and many failures in any span: %d hours',
    async (hours) => {
      const old = { at: Date.now() - 2 * 3_600_000, credits: 500, expiresOn: null };
      const balance = { ...gateway.store.balance, latest: async () => old };
      const stats = {
        ...gateway.store.stats,
        read: async () => [
          { at: Date.now() - 660_000, values: { sent: 10_000 } },
          { at: Date.now() - 360_000, values: { sent: 50, failed: 8, unknown: 2 } },
          { at: Date.now() - 60_000, values: {} },
        ],
      };
      const ill = await startGateway({ dependencies: { store: { ...gateway.store, balance, stats } } });
      const path = `/admin/overview.json?hours=${hours}`;
      const { json } = await ill.call('GET', path, { key: null, headers: basic });
      expect((json as Overview).alarms.map(({ text }) => text)).toEqual([
        expect.stringMatching(/^17 % of the newest OTPs failed or are unknown/),
        'The balance was last read 2 h ago. Check that a worker runs.',
      ]);
    },
  );

  it('finds an OTP by its id and the newest OTPs of a number, with masked numbers', async () => {
    const first = await admitted(gateway.store, { to: number('0123456810'), reference: 'order-1' });
    const second = await admitted(gateway.store, { to: number('0123456810'), app: 'bank' });
    const byId = (await post('/otps', { query: ` ${first} ` })).json;
    expect(byId).toMatchObject({
      otps: [
        {
          id: first,
          app: 'shop',
          to: '+60******810',
          status: 'queued',
          attempts: { used: 0, of: 5 },
          verifiedAt: null,
          canBeCancelled: true,
        },
      ],
    });
    const byNumber = await post('/otps', { query: '012-345 6810' });
    const found = (byNumber.json as { otps: { id: string }[] }).otps.map(({ id }) => id);
    expect(found.sort()).toEqual([first, second].sort());
    expect(byNumber.text).not.toMatch(/23456810|order-1/);
    expect(gateway.logs.join('\n')).not.toContain('3456810');
    for (const query of ['otp_nobody', '+60129999999', 'https://x/']) {
      expect((await post('/otps', { query })).json).toEqual({ otps: [], batch: null, next: null });
    }
  });

  it('has an alarm when hardly any codes of an app to a country are verified', async () => {
    const sentAt = Date.now() - 180_000;
    const minutesAgo = { app: 'shop', to: number('0123456789'), isTest: false, sentAt };
    await Promise.all(Array.from({ length: 250 }, () => gateway.store.conversion.note(minutesAgo, 'sent')));
    await gateway.store.conversion.judge();
    const { alarms, lowConversions } = await overview();
    expect(lowConversions).toMatchObject([{ app: 'shop', country: 'MY', sent: 250, verified: 0 }]);
    expect(alarms).toContainEqual({
      level: 'critical',
      text: 'Only 0 of 250 codes of shop to MY were verified. Check for SMS pumping and delivery problems.',
    });
  });

  it.each([
    [
      'enforce',
      { refused: 5, wouldRefuse: 0 },
      'The toll-fraud guard rejects OTPs to 1 number range, 5 so far',
    ],
    ['monitor', { refused: 0, wouldRefuse: 5 }, 'FRAUD_GUARD=enforce would reject OTPs to 1 number range'],
  ] as const)('shows a capped range with FRAUD_GUARD=%s', async (fraudGuard, refused, alarm) => {
    const own = { ...settings, fraudGuardEnforces: fraudGuard === 'enforce' };
    const guarded = await startGateway({ policy: { fraudGuard }, dependencies: { settings: own } });
    const pumped = Array.from({ length: 25 }, (_, n) => request({ to: number(`01234580${10 + n}`) }));
    await Promise.all(pumped.map((each) => guarded.store.otps.admit(each, null)));
    const { json } = await guarded.call('GET', '/admin/overview.json', { key: null, headers: basic });
    const { ranges, alarms, guardEnforces } = json as Overview;
    expect(ranges).toMatchObject([{ app: 'shop', range: '6012-345xxxx', limit: 'capped', ...refused }]);
    expect(ranges[0]?.until).toBeGreaterThan(Date.now());
    expect(guardEnforces).toBe(own.fraudGuardEnforces);
    expect(alarms.map(({ text }) => text)).toContainEqual(
      `${alarm}: as many codes as allowed wait to be verified.`,
    );
  });

  it('shows blocked and slowed ranges, those with the most refusals first, and none that is over', async () => {
    const now = Date.now();
    const limited = async () => [
      { ...limitedRange, range: '601234567', slowUntil: now + 900_000, refused: 3 },
      {
        ...limitedRange,
        range: '601234568',
        blockedUntil: now + 3_600_000,
        slowUntil: now + 4_500_000,
        refused: 40,
      },
      { ...limitedRange, range: '601234569', cappedUntil: now - 1, refused: 99 },
    ];
    const ranges = { ...gateway.store.ranges, limited };
    const guarded = await startGateway({
      dependencies: {
        store: { ...gateway.store, ranges },
        settings: { ...settings, fraudGuardEnforces: true },
      },
    });
    const { json } = await guarded.call('GET', '/admin/overview.json', { key: null, headers: basic });
    const shown = json as Overview;
    expect(shown.ranges).toMatchObject([
      { range: '6012-34568xxxx', limit: 'blocked', until: now + 3_600_000, refused: 40 },
      { range: '6012-34567xxxx', limit: 'slowed', until: now + 900_000, refused: 3 },
    ]);
    expect(shown.alarms.map(({ text }) => text)).toContainEqual(
      'The toll-fraud guard rejects OTPs to 2 number ranges, 43 so far: too few of the codes are verified.',
    );
  });

  it('undoes the limit of a range with ADMIN_ACTIONS=on', async () => {
    const range = '601234570';
    for (let n = 0; n < 25; n++) {
      const id = await admitted(gateway.store, { to: number(`01234570${String(n).padStart(2, '0')}`) }).catch(
        () => null,
      );
      if (id) await gateway.store.sendAttempts.settle(await claimed(gateway.store, id), accepted(n));
    }
    const limited = await gateway.store.ranges.limited();
    const shown = shownRange(limited[0]?.range ?? range);
    expect((await post('/ranges/forget', { app: 'shop', range: shown }, acting)).json).toEqual({
      known: true,
    });
    expect((await post('/ranges/forget', { app: 'shop', range: shown }, acting)).json).toEqual({
      known: false,
    });
  });
});

describe('the weeks', () => {
  it('compare each app and country with the week before', async () => {
    const thisHour = Math.floor(Date.now() / hourMs) * hourMs;
    const week = 7 * 24 * hourMs;
    const count = (ago: number, app: string, verifiedAfter: number | null) => {
      const otp = { ...sentAfter(500), app, sentAt: thisHour - ago };
      gateway.metrics.sent(otp, 'single');
      if (verifiedAfter !== null)
        gateway.metrics.verified({ ...otp, verifiedAt: otp.sentAt + verifiedAfter * 1_000 });
    };
    gateway.metrics.appTally.take();
    for (const [ago, seconds] of [
      [hourMs, 20],
      [week, null],
      [week + hourMs, 20],
      [2 * week, 9],
    ] as const) {
      count(ago, 'bank', seconds);
    }
    count(hourMs, 'shop', null);
    count(2 * week + hourMs, 'shop', null);
    await write();
    const fresh = await startGateway({ dependencies: { store: gateway.store } });
    const { json } = await fresh.call('GET', '/admin/overview.json', { key: null, headers: basic });
    expect((json as Overview).weeks).toEqual({
      apps: [
        { name: 'bank', last: { sent: 2, verified: 1 }, before: { sent: 2, verified: 2 } },
        { name: 'shop', last: { sent: 1, verified: 0 }, before: { sent: 0, verified: 0 } },
      ],
      countries: [{ name: 'MY', last: { sent: 3, verified: 1 }, before: { sent: 2, verified: 2 } }],
    });
  });
});

describe('the apps', () => {
  it('show what was sent in ten minutes, and the share that was verified of what could be', async () => {
    const otp = { app: 'bank', to: number(), isTest: false };
    const note = async (count: number, agoMs: number, what: 'sent' | 'verified') => {
      const noted = Array.from({ length: count }, () =>
        gateway.store.conversion.note({ ...otp, sentAt: Date.now() - agoMs }, what),
      );
      await Promise.all(noted);
    };
    await note(8, 240_000, 'sent');
    await note(6, 240_000, 'verified');
    await note(3, 0, 'sent');
    const reply = await gateway.call('GET', '/admin/overview.json', { key: null, headers: basic });
    expect((reply.json as Overview).apps).toMatchObject([
      { app: 'bank', sentInTenMinutes: 11, conversion: 0.75 },
      { app: 'shop', sentInTenMinutes: expect.any(Number) },
    ]);
  });

  it('are shown with the used credits of their budgets, and with a pause, which raise alarms', async () => {
    const policy = { creditsPerDay: 5, creditsPerMonth: 100 };
    const own = await startGateway({ policy, dependencies: { admin: { ...admin, actions: true } } });
    const read = async () =>
      (await own.call('GET', '/admin/overview.json', { key: null, headers: basic })).json as Overview;
    for (let n = 0; n < 4; n++) await own.call('POST', '/v1/otps', { body: { to: `013210000${n}` } });
    expect((await post('/apps/bank/pause', {}, own)).status).toBe(204);
    const { apps, alarms } = await read();
    expect(apps).toMatchObject([
      { app: 'bank', pausedAt: expect.any(Number), budgets: [{ used: 0 }, { used: 0 }] },
      {
        app: 'shop',
        pausedAt: null,
        budgets: [
          { period: 'day', used: 4, limit: 5 },
          { period: 'month', used: 4, limit: 100 },
        ],
      },
    ]);
    expect(alarms).toContainEqual({
      level: 'warning',
      text: 'shop has used 4 of 5 credits for this day.',
    });
    expect(alarms.map(({ text }) => text)).toContainEqual(expect.stringMatching(/^bank was paused by an op/));
    await own.call('POST', '/v1/otps', { body: { to: '0132100005' } });
    expect((await read()).alarms).toContainEqual({
      level: 'critical',
      text: 'shop has used 5 of 5 credits for this day: its OTPs are rejected.',
    });
    expect((await post('/apps/bank/resume', {}, own)).status).toBe(204);
    expect(await own.store.appPauses.read()).toEqual(new Map());
  });

  it('are paused with ADMIN_ACTIONS=on alone, and only if they exist', async () => {
    expectProblem(await post('/apps/shop/pause', {}), 403, 'action_not_offered');
    expectProblem(await post('/apps/shpo/pause', {}, acting), 404, 'app_not_found');
    const headers = { ...basic, 'Sec-Fetch-Site': 'cross-site' };
    const reply = await acting.call('POST', '/admin/apps/shop/pause', { key: null, headers, body: {} });
    expectProblem(reply, 403, 'cross_site_request');
    expect(await gateway.store.appPauses.read()).toEqual(new Map());
  });
});

/** Uploads OTPs to so many numbers as a batch of shop; resolves with its id. */
const upload = async (body: object = {}, count = 3) => {
  const otps = Array.from({ length: count }, (_, n) => ({ to: `013200${String(n).padStart(4, '0')}` }));
  const { json } = await acting.call('POST', '/v1/otps/bulk', { body: { ...body, otps } });
  return (json as { batchId: string }).batchId;
};
/** What a worker notes when it looks at a batch. */
const note = (id: string, waitsFor: WaitReason | null, order = 0) =>
  gateway.store.waitingLines.note({
    batch: keyOf(id),
    app: 'shop',
    waiting: 3,
    inFlight: 0,
    order,
    waitsFor,
  });
const keyOf = (id: string) => id.slice('batch_'.length);
const change = (id: string, fields: object) => gateway.redis.hset(keys.batch(keyOf(id)), fields);

describe('the batches', () => {
  it('are those that have not ended, also before a worker has looked at them', async () => {
    const id = await upload({ name: 'Friday', perSecond: 50 });
    const { shown, more } = (await overview()).batches;
    expect(shown).toEqual([
      {
        id,
        ...{ app: 'shop', name: 'Friday', createdAt: expect.any(Number), startAt: null, perSecond: 50 },
        counts: expect.objectContaining({ queued: 3, sent: 0 }),
        ...{ status: 'sending', rate: null, estimatedEnd: expect.any(Number), waitsFor: null },
      },
    ]);
    expect(more).toBe(0);
  });

  it('come in the order of their release, of which the first 20 are shown', async () => {
    const ids = [];
    for (let n = 0; n < 21; n++) ids.push(await upload({}, 1));
    for (const [n, id] of ids.entries()) await note(id, null, -n);
    const { shown, more } = (await overview()).batches;
    expect(shown.map(({ id }) => id)).toEqual(ids.reverse().slice(0, 20));
    expect(more).toBe(1);
  });

  it.each([
    ['sending', { startedAt: Date.now() - 10_000 }, 'earlier_batch', 'earlier_batch'],
    ['paused', { paused: true }, 'earlier_batch', 'paused'],
    ['scheduled', { startAt: Date.now() + 60_000 }, null, 'start'],
    // A reason noted before the batch was resumed.
    ['sending', { startedAt: Date.now() - 10_000 }, 'paused', null],
  ] as const)('are %s by %j, noted as %s', async (status, fields, noted, waitsFor) => {
    const id = await upload();
    await change(id, fields);
    await note(id, noted);
    expect((await overview()).batches.shown).toMatchObject([{ status, waitsFor }]);
  });

  it('are found by their id with the OTPs by status', async () => {
    const id = await upload({ name: 'Friday' });
    const { json } = await post('/otps', { query: ` ${id} ` });
    expect(json).toMatchObject({ otps: [], batch: { id, name: 'Friday', counts: { queued: 3 } } });
  });
});

describe('changing a batch', () => {
  /** Has its job wait as that of a paused batch does. */
  const delay = async (id: string) => {
    const connection = gateway.redis.duplicate({ maxRetriesPerRequest: null });
    const worker = new Worker(batchQueue.queue.name, null, { connection, prefix: queuePrefix });
    const job = await worker.getNextJob('token', { block: false });
    expect(job?.id).toBe(id);
    await job?.moveToDelayed(Date.now() + 60_000, 'token');
    await worker.close();
    connection.disconnect();
  };

  it('pauses, resumes and paces it, and has its job look at once', async () => {
    const id = await upload();
    for (const fields of [{ paused: true }, { paused: false }, { perSecond: 50 }, { perSecond: null }]) {
      await delay(id);
      expect((await post('/batches/change', { id, ...fields }, acting)).status).toBe(204);
      expect(await gateway.store.batches.facts(keyOf(id))).toMatchObject(fields);
      expect(await (await batchQueue.queue.getJob(id))?.getState()).toBe('waiting');
    }
  });

  it('cancels it, and has its job end the lines at once', async () => {
    const id = await upload();
    await delay(id);
    expect((await post('/batches/cancel', { id }, acting)).status).toBe(204);
    expect(await gateway.store.batches.find('shop', id)).toMatchObject({ cancelled: true });
    expect(await (await batchQueue.queue.getJob(id))?.getState()).toBe('waiting');
    expectProblem(await post('/batches/change', { id, paused: true }, acting), 409, 'batch_ended');
  });

  it('is rejected for a batch that is not known and for values out of range', async () => {
    const id = await upload();
    const unknown = `batch_${'x'.repeat(22)}`;
    expectProblem(
      await post('/batches/change', { id: unknown, paused: true }, acting),
      404,
      'batch_not_found',
    );
    expectProblem(await post('/batches/cancel', { id: 'shop' }, acting), 404, 'batch_not_found');
    for (const perSecond of [0, 10_001, 1.5, '50']) {
      expectProblem(await post('/batches/change', { id, perSecond }, acting), 400, 'invalid_request');
    }
    expect(await gateway.store.batches.facts(keyOf(id))).toMatchObject({ perSecond: null });
  });
});

describe('a search', () => {
  it('is answered with 503 while Redis does not answer', async () => {
    const otps = {
      ...gateway.store.otps,
      findOfAnyApp: async () => Promise.reject(new Error('Connection is closed.')),
    };
    const failing = await startGateway({ dependencies: { store: { ...gateway.store, otps } } });
    expectProblem(await post('/otps', { query: 'otp_1' }, failing), 503, 'queue_unavailable');
  });
});

describe('cancelling', () => {
  it('cancels an OTP of any app and takes its job out of the queue', async () => {
    const { json } = await acting.call('POST', '/v1/otps', { body: { to: '0123456820' } });
    const { id } = json as { id: string };
    expect((await post('/otps/cancel', { id }, acting)).status).toBe(204);
    expect(await acting.store.otps.findOfAnyApp(id)).toMatchObject({ status: 'cancelled' });
    expect(await queue.queues[0].getJob(id)).toBeUndefined();
  });

  it('answers 409 for a verified OTP and 404 for an unknown one', async () => {
    const { id, code } = await acting.sent({ to: '0123456821' });
    await acting.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    const found = (await post('/otps', { query: id }, acting)).json;
    expect(found).toMatchObject({ otps: [{ canBeCancelled: false, verifiedAt: expect.any(String) }] });
    expectProblem(await post('/otps/cancel', { id }, acting), 409, 'already_verified');
    expectProblem(await post('/otps/cancel', { id: 'otp_nothing' }, acting), 404, 'otp_not_found');
    expectProblem(await post('/otps/cancel', { id, more: 1 }, acting), 400, 'invalid_request');
  });
});

describe('400', () => {
  it.each(['?hours=7', '?hours=', '?days=1'])('answers a span that is not offered: %s', async (query) => {
    expectProblem(await get(`/overview.json${query}`), 400, 'invalid_request');
  });

  it.each([{}, { query: '' }, { query: 'x'.repeat(201) }, { query: 1 }, { query: 'a', more: 1 }, '{', []])(
    'answers an invalid search: %j',
    async (body) => expectProblem(await post('/otps', body), 400, 'invalid_request'),
  );
});

describe('401', () => {
  it('answers every path without the login', async () => {
    for (const path of ['', '/overview.json', '/assets/overview.js']) {
      expectProblem(await get(path, {}), 401, 'unauthorized');
    }
    expectProblem(
      await gateway.call('POST', '/admin/otps', { key: null, body: { query: 'a' } }),
      401,
      'unauthorized',
    );
  });
});

describe('403', () => {
  it('answers actions without ADMIN_ACTIONS, and requests from other sites', async () => {
    expectProblem(await post('/otps/cancel', { id: 'otp_1' }), 403, 'action_not_offered');
    expectProblem(
      await post('/ranges/forget', { app: 'shop', range: '6012-345xxxx' }),
      403,
      'action_not_offered',
    );
    const id = await upload();
    for (const path of ['/batches/change', '/batches/cancel']) {
      expectProblem(await post(path, { id, paused: true }), 403, 'action_not_offered');
    }
    const headers = { ...basic, 'Sec-Fetch-Site': 'cross-site' };
    for (const [path, body] of [
      ['/ranges/forget', { app: 'shop', range: '1' }],
      ['/batches/change', { id, paused: true }],
      ['/batches/cancel', { id }],
    ] as const) {
      const reply = await acting.call('POST', `/admin${path}`, { key: null, headers, body });
      expectProblem(reply, 403, 'cross_site_request');
    }
    expect(await gateway.store.batches.facts(keyOf(id))).toMatchObject({ paused: false, cancelledAt: null });
  });
});

describe('404, 405', () => {
  it('answers unknown paths and other methods', async () => {
    expectProblem(await get('/assets/passwd'), 404, 'not_found');
    expectProblem(await get('/assets/..%2f..%2fpackage.json'), 404, 'not_found');
    expectProblem(await get('/nothing'), 404, 'not_found');
    const reply = await post('/overview.json', {});
    expectProblem(reply, 405, 'method_not_allowed');
    expect(reply.headers.get('Allow')).toBe('GET, HEAD');
  });
});
