import { describe, expect, it } from 'vitest';
import type { Overview } from '../../../src/api/admin/overview-data.js';
import { recordStats } from '../../../src/main/stats-recorder.js';
import { createSendOtpQueue } from '../../../src/queues/send-otp.js';
import { shownRange } from '../../../src/store/number-ranges.js';
import { accepted, admitted, blocked, claimed, number, request } from '../../support/otps.js';
import { admin, expectProblem, settings, startGateway } from '../gateway.js';

const gateway = await startGateway({ policy: { fraudGuard: 'enforce' } });
const acting = await startGateway({ dependencies: { admin: { ...admin, actions: true } } });
const basic = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
const queue = createSendOtpQueue({ connection: gateway.redis, onError: () => {} });

const get = (path: string, headers: Record<string, string> = basic) =>
  gateway.call('GET', `/admin${path}`, { key: null, headers });
const post = (path: string, body: unknown, to = gateway) =>
  to.call('POST', `/admin${path}`, { key: null, headers: basic, body });
const overview = async (hours = 6) => (await get(`/overview.json?hours=${hours}`)).json as Overview;
/** Writes down what the gateway counted so far. */
const write = async () => {
  const recorder = recordStats({ store: gateway.store, queue, tally: gateway.metrics.tally });
  await recorder.close();
};

describe('200', () => {
  it('is a page whose parts all come from here, and may be kept only as long as they are the same', async () => {
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
    // What another version's page asks for must not be kept for that version.
    const others = await get('/assets/overview.js?0123456789ab');
    expect(others.headers.get('Cache-Control')).toBe('no-store');
    expect(page.text).not.toMatch(/(?:href|src)="https?:/);
  });

  it('counts what all processes told, and what happens now', async () => {
    const before = await overview();
    await gateway.call('POST', '/v1/otps', { body: { to: '0123456801' } });
    await gateway.call('POST', '/v1/otps', { body: { to: '12' } });
    gateway.metrics.sent({ app: 'shop', country: 'MY', lane: 'single', waitedSeconds: 0.3 });
    gateway.metrics.sent({ app: 'shop', country: 'MY', lane: 'single', waitedSeconds: 40 });
    gateway.metrics.failed('shop', 'rejected');
    await write();
    const { points, waiting, hours } = await overview();
    expect(hours).toBe(6);
    expect(points).toHaveLength(before.points.length);
    expect(points.length).toBeGreaterThanOrEqual(72);
    expect(points.at(-1)).toMatchObject({
      accepted: 1,
      refused: 1,
      sent: 2,
      failed: 1,
      waitedP50: 0.5,
      waitedP95: 60,
    });
    expect(waiting).toMatchObject({ single: 1, bulk: 0 });
  });

  it.each([
    [6, 73],
    [24, 97],
    [168, 85],
  ])('shows %d hours in about %d points', async (hours, count) => {
    expect(Math.abs((await overview(hours)).points.length - count)).toBeLessThanOrEqual(1);
  });

  it('says what needs an operator, and when nothing does any more', async () => {
    const texts = async () => (await overview()).alarms.map(({ level, text }) => `${level}: ${text}`);
    expect(await texts()).toContainEqual('warning: The balance has not been read yet.');
    await gateway.store.balance.record({ credits: 12, expiresOn: '2030-01-01' });
    await gateway.store.sendingPause.report({
      trouble: blocked.trouble,
      claimedAt: Date.now() + 1_000,
    });
    expect(await texts()).toEqual([
      expect.stringMatching(/^critical: Sending is paused: the iSMS account is out of credits/),
      'warning: Only 12 credits are left.',
    ]);
    await gateway.store.sendingPause.resume();
    await gateway.store.balance.record({ credits: 5_000, expiresOn: '2030-01-01' });
    expect(await texts()).toEqual([]);
    const { balance } = await overview();
    expect(balance).toMatchObject({ credits: 5_000, low: false, expiresOn: '2030-01-01' });
    expect(balance?.curve.map(({ credits }) => credits)).toEqual([12, 5_000]);
  });

  it('quotes what iSMS said while it refuses OTPs in unknown words', async () => {
    const claimedAt = Date.now() + 1_000;
    const row = Array.from({ length: 10 }, (_, n) => ({ to: number(`012345678${n}`), claimedAt }));
    const { appHolds } = gateway.store;
    await appHolds.noteRefusals({ app: 'shop', text: 'Sistem tergendala', row });
    const texts = (await overview()).alarms.map(({ text }) => text);
    expect(texts).toContainEqual(expect.stringMatching(/^Sending is paused for shop: .*"Sistem tergendala"/));
    await appHolds.noteAccepted(new Map([['shop', claimedAt + 60_000]]));
    expect(await appHolds.read()).toEqual([]);
  });

  it('says when the balance is old, and when many of the newest OTPs go wrong', async () => {
    const old = { at: Date.now() - 2 * 3_600_000, credits: 500, expiresOn: null };
    const balance = { ...gateway.store.balance, latest: async () => old };
    const stats = {
      ...gateway.store.stats,
      read: async () => [{ at: Date.now() - 60_000, values: { sent: 50, failed: 8, unknown: 2 } }],
    };
    const ill = await startGateway({ dependencies: { store: { ...gateway.store, balance, stats } } });
    const { json } = await ill.call('GET', '/admin/overview.json', { key: null, headers: basic });
    expect((json as Overview).alarms.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^17 % of the newest OTPs failed or are unknown/),
      expect.stringMatching(/^The balance was last read at /),
    ]);
  });

  it('finds an OTP by its id, and the newest of a number, masked', async () => {
    const first = await admitted(gateway.store, { to: number('0123456810'), reference: 'order-1' });
    const second = await admitted(gateway.store, { to: number('0123456810'), app: 'bank' });
    const byId = (await post('/otps', { query: ` ${first} ` })).json;
    expect(byId).toMatchObject({ otps: [{ id: first, app: 'shop', to: '+60******810', status: 'queued' }] });
    const byNumber = await post('/otps', { query: '012-345 6810' });
    const found = (byNumber.json as { otps: { id: string }[] }).otps.map(({ id }) => id);
    expect(found.sort()).toEqual([first, second].sort());
    expect(byNumber.text).not.toMatch(/23456810|order-1/);
    expect(gateway.logs.join('\n')).not.toContain('3456810');
    for (const query of ['otp_nobody', '+60129999999', 'https://x/']) {
      expect((await post('/otps', { query })).json).toEqual({ otps: [] });
    }
  });

  it('says that hardly any codes of an app to a country are verified', async () => {
    const sentAt = Date.now() - 180_000;
    const minutesAgo = { app: 'shop', to: number('0123456789'), isTest: false, sentAt };
    await Promise.all(Array.from({ length: 250 }, () => gateway.store.conversion.note(minutesAgo, 'sent')));
    await gateway.store.conversion.judge();
    const { alarms, lowConversions } = await overview();
    expect(lowConversions).toMatchObject([{ app: 'shop', country: 'MY', sent: 250, verified: 0 }]);
    expect(alarms).toContainEqual({
      level: 'critical',
      text: 'Only 0 of 250 codes of shop to MY were verified. Are SMS pumped, or do they not arrive?',
    });
  });

  it('shows a range that only has its cap, and says whether OTPs are refused or would be', async () => {
    for (const [fraudGuard, refused, alarm] of [
      ['enforce', { refused: 5, wouldRefuse: 0 }, /^1 number range has .* Further OTPs are refused/],
      [
        'monitor',
        { refused: 0, wouldRefuse: 5 },
        /^1 number range has .* FRAUD_GUARD=enforce would refuse further OTPs/,
      ],
    ] as const) {
      const own = { ...settings, fraudGuardEnforces: fraudGuard === 'enforce' };
      const guarded = await startGateway({ policy: { fraudGuard }, dependencies: { settings: own } });
      await guarded.redis.flushdb();
      const pumped = Array.from({ length: 25 }, (_, n) => request({ to: number(`01234580${10 + n}`) }));
      await Promise.all(pumped.map((each) => guarded.store.otps.admit(each, null)));
      const { json } = await guarded.call('GET', '/admin/overview.json', { key: null, headers: basic });
      const { ranges, alarms, guardEnforces } = json as Overview;
      expect(ranges).toMatchObject([{ app: 'shop', range: '6012-345xxxx', slowUntil: 0, ...refused }]);
      expect(ranges[0]?.cappedUntil).toBeGreaterThan(Date.now());
      expect(guardEnforces).toBe(own.fraudGuardEnforces);
      expect(alarms.map(({ text }) => text)).toContainEqual(expect.stringMatching(alarm));
    }
  });

  it('undoes what the guard decided about a range, where actions are on', async () => {
    const range = '601234570';
    for (let n = 0; n < 25; n++) {
      const id = await admitted(gateway.store, { to: number(`01234570${String(n).padStart(2, '0')}`) }).catch(
        () => null,
      );
      if (id) await gateway.store.sendAttempts.settle(await claimed(gateway.store, id), accepted(n));
    }
    const judged = await gateway.store.ranges.judged();
    const shown = shownRange(judged[0]?.range ?? range);
    expect((await post('/ranges/forget', { app: 'shop', range: shown }, acting)).json).toEqual({
      known: true,
    });
    expect((await post('/ranges/forget', { app: 'shop', range: shown }, acting)).json).toEqual({
      known: false,
    });
  });
});

describe('503', () => {
  it('for a search that Redis does not answer: nothing found would be a lie', async () => {
    const otps = {
      ...gateway.store.otps,
      findOfAnyApp: async () => Promise.reject(new Error('Connection is closed.')),
    };
    const failing = await startGateway({ dependencies: { store: { ...gateway.store, otps } } });
    expectProblem(await post('/otps', { query: 'otp_1' }, failing), 503, 'queue_unavailable');
  });
});

describe('400', () => {
  it.each(['?hours=7', '?hours=', '?days=1'])('for a span that is not offered: %s', async (query) => {
    expectProblem(await get(`/overview.json${query}`), 400, 'invalid_request');
  });

  it.each([{}, { query: '' }, { query: 'x'.repeat(65) }, { query: 1 }, { query: 'a', more: 1 }, '{', []])(
    'for a search such as %j',
    async (body) => expectProblem(await post('/otps', body), 400, 'invalid_request'),
  );
});

describe('401', () => {
  it('for all of it, without the login', async () => {
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
  it('for an undo while actions are off, and for what another site asks', async () => {
    expectProblem(
      await post('/ranges/forget', { app: 'shop', range: '6012-345xxxx' }),
      403,
      'action_not_offered',
    );
    const headers = { ...basic, 'Sec-Fetch-Site': 'cross-site' };
    const reply = await acting.call('POST', '/admin/ranges/forget', {
      key: null,
      headers,
      body: { app: 'shop', range: '1' },
    });
    expectProblem(reply, 403, 'cross_site_request');
  });
});

describe('404, 405', () => {
  it('for what there is not, and for other methods', async () => {
    expectProblem(await get('/assets/passwd'), 404, 'not_found');
    expectProblem(await get('/assets/..%2f..%2fpackage.json'), 404, 'not_found');
    expectProblem(await get('/nothing'), 404, 'not_found');
    const reply = await post('/overview.json', {});
    expectProblem(reply, 405, 'method_not_allowed');
    expect(reply.headers.get('Allow')).toBe('GET, HEAD');
  });
});
