import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { createAppStats } from '../../../src/store/app-stats.js';
import { keys } from '../../../src/store/keys.js';
import { request } from '../../support/otps.js';
import { freePort } from '../../support/redis-server.js';
import { bankKey, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway({ policy: { recipientPer10Minutes: 2 } });
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const thisHour = Math.floor(Date.now() / hourMs) * hourMs;
const iso = (at: number) => new Date(at).toISOString();
const write = () => gateway.store.appStats.add(gateway.metrics.appTally.take());

/** Counts an OTP sent at a time, and verified so many seconds later, unless that is null. */
function count(sentAt: number, seconds: number | null, more: Parameters<typeof request>[0] = {}): void {
  const otp = { ...request(more), createdAt: sentAt - 500, sentAt };
  gateway.metrics.accepted(otp.app, 'single', [otp]);
  gateway.metrics.sent(otp, 'single');
  if (seconds !== null) gateway.metrics.verified({ ...otp, verifiedAt: sentAt + seconds * 1_000 });
}

interface Row {
  start: string;
  group: string | null;
  sent: number;
}

async function rowsOf(query: Record<string, string>, key?: string): Promise<Row[]> {
  const path = `/v1/stats?${new URLSearchParams(query)}`;
  const reply = await gateway.call('GET', path, { ...(key !== undefined && { key }) });
  expect(reply.status).toBe(200);
  return (reply.json as { rows: Row[] }).rows;
}

describe('GET /v1/stats', () => {
  it('counts by purpose, template and country for the calling app alone', async () => {
    const login = { purpose: 'login', template: 'reset', credits: 2 };
    for (const to of ['0123456701', '0123456701']) {
      const body = { to, purpose: 'login' };
      expect((await gateway.call('POST', '/v1/otps', { body })).status).toBe(202);
    }
    const again = { to: '0123456701', purpose: 'login' };
    expect((await gateway.call('POST', '/v1/otps', { body: again })).status).toBe(429);
    await gateway.call('POST', '/v1/otps', { body: { nonsense: true } });
    count(Date.now(), 18, login);
    gateway.metrics.failed(request(login), 'invalid_number');
    gateway.metrics.unknown(request());
    count(Date.now(), null, { app: 'bank' });
    await write();
    const span = { step: '1d', since: iso(thisHour - hourMs) };
    const rows = await rowsOf({ by: 'purpose', ...span });
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual({
      start: expect.any(String),
      group: 'login',
      accepted: 3,
      rejected: { recipient_rate_limited: 1 },
      sent: 1,
      verified: 1,
      failed: { invalid_number: 1 },
      unknown: 0,
      credits: 2,
      conversion: 1,
      medianVerifySeconds: 17.5,
    });
    expect(rows).toContainEqual(
      expect.objectContaining({
        group: null,
        rejected: { invalid_request: 1 },
        unknown: 1,
        conversion: null,
      }),
    );
    expect(await rowsOf({ by: 'template', ...span })).toContainEqual(
      expect.objectContaining({ group: 'reset', sent: 1 }),
    );
    expect(await rowsOf({ by: 'country', ...span })).toContainEqual(
      expect.objectContaining({ group: 'MY', accepted: 3, sent: 1 }),
    );
    expect(await rowsOf(span)).toEqual([
      expect.objectContaining({ group: null, accepted: 3, sent: 1, unknown: 1, credits: 2 }),
    ]);
    expect(await rowsOf(span, bankKey)).toEqual([expect.objectContaining({ accepted: 1, sent: 1 })]);
  });

  it('counts a verification at the time of the send, and interpolates the median', async () => {
    const at = thisHour - 3 * hourMs;
    // Verified in the next hour.
    count(at + hourMs - 1_000, 100, { purpose: 'median' });
    for (const seconds of [16, 17, 18, null]) count(at, seconds, { purpose: 'median' });
    await write();
    const span = { by: 'purpose', since: iso(at), until: iso(at + 2 * hourMs) };
    expect(await rowsOf(span)).toEqual([
      expect.objectContaining({
        start: iso(at),
        sent: 5,
        verified: 4,
        conversion: 0.8,
        medianVerifySeconds: 18.3,
      }),
    ]);
    expect(await rowsOf({ ...span, step: '5m' })).toEqual([
      expect.objectContaining({ start: iso(at), sent: 4, conversion: 0.75 }),
      expect.objectContaining({ start: iso(at + 55 * minuteMs), sent: 1, medianVerifySeconds: 105 }),
    ]);
  });

  it('counts days from the start that was asked for', async () => {
    const midnight = Math.floor((thisHour - 9 * dayMs) / dayMs) * dayMs;
    const days = { purpose: 'days' };
    for (const hour of [15, 16, 39, 40]) count(midnight + hour * hourMs, null, days);
    await write();
    const since = iso(midnight + 16 * hourMs).replace('16:00:00.000Z', '16:00:00Z');
    expect(await rowsOf({ by: 'purpose', step: '1d', since, until: iso(midnight + 2 * dayMs) })).toEqual([
      expect.objectContaining({ start: iso(midnight + 16 * hourMs), sent: 2 }),
      expect.objectContaining({ start: iso(midnight + 40 * hourMs), sent: 1 }),
    ]);
  });

  it('ends a span where the next one begins, so that none is counted twice', async () => {
    const at = thisHour - 6 * hourMs;
    count(at + 12 * minuteMs, null, { purpose: 'edge' });
    await write();
    const middle = iso(at + 13 * minuteMs);
    const inStep = async (query: Record<string, string>) =>
      (await rowsOf({ by: 'purpose', ...query })).filter(({ group }) => group === 'edge').length;
    for (const step of ['5m', '1h']) {
      expect(await inStep({ step, since: iso(at - hourMs), until: middle })).toBe(0);
      expect(await inStep({ step, since: middle, until: iso(at + hourMs) })).toBe(1);
    }
  });

  it('loses no count of an app while another invents purposes', async () => {
    const at = thisHour - 25 * dayMs;
    for (let i = 0; i < 25_000; i += 1) count(at, null, { purpose: `invented${i}` });
    count(at, null, { app: 'bank', purpose: 'login' });
    await write();
    const span = { since: iso(at), until: iso(at + hourMs) };
    expect(await rowsOf({ by: 'purpose', ...span }, bankKey)).toEqual([
      expect.objectContaining({ group: 'login', sent: 1 }),
    ]);
    expect(await rowsOf({ by: 'status', ...span })).toEqual([expect.objectContaining({ sent: 25_000 })]);
  });

  it('counts further purposes of a day as other, within a bounded memory', async () => {
    const at = thisHour - 20 * dayMs;
    for (let i = 0; i < 80; i += 1) count(at + (i % 3) * hourMs, 20, { app: 'bank', purpose: `p${i}` });
    await write();
    for (let i = 0; i < 80; i += 1) count(at, 20, { app: 'bank', purpose: `p${i}` });
    await write();
    const rows = await rowsOf({ by: 'purpose', since: iso(at), until: iso(at + dayMs) }, bankKey);
    const groups = new Set(rows.map(({ group }) => group));
    expect(groups.size).toBe(51);
    expect(groups).toContain('other');
    expect(rows.reduce((sum, { sent }) => sum + sent, 0)).toBe(160);
    const key = keys.appStats('bank', 'purpose', { step: '1h', day: iso(at).slice(0, 10) });
    const bytes = Number(await gateway.redis.memory('USAGE', key, 'SAMPLES', 0));
    expect(bytes / (rows.length + 51)).toBeLessThan(300);
    expect(await gateway.redis.pttl(key)).toBeGreaterThan(35 * dayMs);
  });

  it('refuses to answer more than 2,000 rows, and says what to do', async () => {
    const at = thisHour - 15 * dayMs;
    for (let i = 0; i < 2_001; i += 1) count(at + (i % 48) * hourMs, null, { purpose: `q${i % 47}` });
    await write();
    const query = { by: 'purpose', since: iso(at), until: iso(at + 2 * dayMs) };
    const reply = await gateway.call('GET', `/v1/stats?${new URLSearchParams(query)}`);
    expectProblem(reply, 400, 'invalid_request');
    const message = 'gives more than 2,000 rows: use a longer step or a shorter time';
    expect(reply.json).toMatchObject({ errors: [{ path: 'step', message }] });
    expect(await rowsOf({ ...query, step: '1d' })).toHaveLength(47 * 2);
  });

  it.each([
    [{ since: 'yesterday' }, 'since', 'RFC 3339'],
    [{ since: iso(Date.now() - 37 * dayMs) }, 'since', 'must be at most 35 days ago with step=1h'],
    [{ since: iso(Date.now() - 3 * dayMs), step: '5m' }, 'since', 'at most 2 days ago with step=5m'],
    [{ since: iso(Date.now() + dayMs) }, 'since', 'must be before until, and in the past'],
    [{ since: iso(thisHour), until: iso(thisHour - hourMs) }, 'since', 'must be before until'],
    [{ until: iso(Date.now() - 60 * dayMs) }, 'until', 'must be at most 35 days ago'],
    [{ step: '2h' }, 'step', ''],
    [{ by: 'number' }, 'by', ''],
    [{ group: 'MY' }, 'group', ''],
  ])('refuses %j with the reason', async (query, path, message) => {
    const reply = await gateway.call('GET', `/v1/stats?${new URLSearchParams(query)}`);
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({ errors: [{ path, message: expect.stringContaining(message) }] });
  });

  it('keeps counts that Redis did not take', async () => {
    const at = thisHour - 30 * dayMs;
    count(at, null, { purpose: 'kept' });
    const away = new Redis({ port: await freePort(), enableOfflineQueue: false, retryStrategy: () => null });
    away.on('error', () => {});
    const failed = await createAppStats(away).add(gateway.metrics.appTally.take());
    expect(Object.values(failed)).toEqual([1, 1, 1]);
    gateway.metrics.appTally.giveBack(failed);
    expect(await write()).toEqual({});
    expect(await rowsOf({ by: 'purpose', since: iso(at), until: iso(at + hourMs) })).toEqual([
      expect.objectContaining({ group: 'kept', sent: 1, credits: 1 }),
    ]);
  });
});
