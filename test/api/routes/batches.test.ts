import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { createErrorAnswers } from '../../../src/api/http/answer.js';
import { beginContext, contextOf } from '../../../src/api/http/context.js';
import { createDispatcher } from '../../../src/api/http/route.js';
import { batchOtpsCsv, batchRoutes } from '../../../src/api/routes/batches.js';
import { createAppSlots } from '../../../src/api/routes/bulk.js';
import type { BatchOtp } from '../../../src/api/routes/schemas.js';
import { batchOfId, partitionOfId } from '../../../src/otp/otp-id.js';
import { keys } from '../../../src/store/keys.js';
import { afterFile } from '../../support/clean-up.js';
import { accepted, claimed, rejected } from '../../support/otps.js';
import { bankKey, expectProblem, shopKey, startGateway } from '../gateway.js';

/** No worker runs here, so a real count of what was done would soon call for backpressure. */
const load = { addDone: async () => {}, done: async () => Date.now(), memory: async () => 0 };
const gateway = await startGateway({ load });
const { store } = gateway;
let next = 2_000_000;

/** A batch of so many OTPs. */
async function batchOf(count: number): Promise<{ batch: string; ids: string[] }> {
  const otps = Array.from({ length: count }, () => ({ to: `012${next++}` }));
  const reply = await gateway.call('POST', '/v1/otps/bulk', { body: { otps } });
  const { batchId, results } = reply.json as { batchId: string; results: { id: string }[] };
  return { batch: `/v1/batches/${batchId}`, ids: results.map(({ id }) => id) };
}

const get = async (path: string, headers: Record<string, string> = {}) =>
  await gateway.call('GET', path, { headers });
const counts = async (batch: string) => ((await get(batch)).json as { counts: object }).counts;
const settle = async (id: string, outcome: Parameters<typeof store.sendAttempts.settle>[1]) =>
  await store.sendAttempts.settle(await claimed(store, id), outcome);

describe('a batch', () => {
  it('counts its OTPs by status', async () => {
    const { batch, ids } = await batchOf(30);
    const [sent = '', failed = '', sending = '', verified = '', cancelled = ''] = ids;
    await settle(sent, accepted());
    await settle(failed, rejected);
    await claimed(store, sending);
    await settle(verified, accepted());
    const verification = { app: 'shop', id: verified, token: 't', replay: null };
    await store.verificationAttempts.admit(verification);
    await store.verificationAttempts.settle(verification, 'correct');
    await gateway.call('DELETE', `/v1/otps/${cancelled}`);
    expect((await get(batch)).json).toEqual({
      id: batch.slice('/v1/batches/'.length),
      ...{ name: null, status: 'sending', createdAt: expect.stringMatching(/Z$/) },
      ...{ startAt: null, perSecond: null, paused: false, startedAt: null, finishedAt: null },
      ...{ waiting: 25, waitsFor: null, rate: null, estimatedEnd: null },
      lines: 30,
      cancelled: false,
      counts: {
        queued: 25,
        sending: 1,
        sent: 1,
        verified: 1,
        expired: 0,
        locked: 0,
        failed: 1,
        unknown: 0,
        cancelled: 1,
      },
    });
  });

  it('lists its OTPs page by page in the order of the upload, each with its line', async () => {
    const { batch, ids } = await batchOf(450);
    const listed: { index: number; id: string }[] = [];
    for (let path: string | null = `${batch}/otps?limit=200`; path !== null; ) {
      const { otps, next: more } = (await get(path)).json as { otps: typeof listed; next: string | null };
      listed.push(...otps);
      path = more === null ? null : `${batch}/otps?limit=200&cursor=${more}`;
    }
    expect(listed.map(({ index, id }) => [index, id])).toEqual(ids.map((id, i) => [i, id]));
  });

  it('lists the OTPs of one status', async () => {
    const { batch, ids } = await batchOf(10);
    await settle(ids[7] ?? '', accepted());
    const { json } = await get(`${batch}/otps?status=sent`);
    expect(json).toMatchObject({ otps: [{ index: 7, id: ids[7], status: 'sent', smsId: '1' }], next: null });
  });

  it('omits rejected lines', async () => {
    const otps = [{ to: `012${next++}` }, { to: 'nobody' }, { to: `012${next++}` }];
    const reply = await gateway.call('POST', '/v1/otps/bulk', { body: { otps } });
    const { batchId } = reply.json as { batchId: string };
    const { json } = await get(`/v1/batches/${batchId}/otps`);
    expect(json).toMatchObject({ otps: [{ index: 0 }, { index: 2 }] });
    expect((await get(`/v1/batches/${batchId}`)).json).toMatchObject({ lines: 3, counts: { queued: 2 } });
  });

  it('omits a line whose record no encryption key opens', async () => {
    const { batch, ids } = await batchOf(3);
    const key = keys.recordOfId(ids[1] ?? '');
    const raw = (await gateway.redis.get(key)) ?? '';
    await gateway.redis.set(key, raw.replace('"encrypted":"', '"encrypted":"x'));
    expect((await get(`${batch}/otps`)).json).toMatchObject({ otps: [{ index: 0 }, { index: 2 }] });
  });

  it('exports all its OTPs as NDJSON and as CSV', async () => {
    const { batch, ids } = await batchOf(450);
    const response = await fetch(`${gateway.url}${batch}/otps`, {
      headers: { Authorization: `Bearer ${shopKey}`, Accept: 'application/x-ndjson' },
    });
    const lines = (await response.text()).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(ids);
    const csv = await get(`${batch}/otps?status=queued`, { Accept: 'text/csv' });
    expect(csv.headers.get('Content-Type')).toContain('text/csv');
    const rows = csv.text.trim().split('\r\n');
    expect(rows[0]).toBe(
      'index,id,to,reference,status,createdAt,sentAt,expiresAt,uuid,smsId,credits,failure',
    );
    expect(rows).toHaveLength(451);
    expect(rows[1]).toMatch(new RegExp(`^0,${ids[0]},\\+60122\\d{6},,queued,`));
    const id = batch.slice('/v1/batches/'.length);
    expect(csv.headers.get('Content-Disposition')).toBe(`attachment; filename="${id}.csv"`);
    expect(response.headers.has('Content-Disposition')).toBe(false);
  });

  it('reads at most 1,000 lines for a page, however rare the status asked for', async () => {
    const { batch, ids } = await batchOf(1_010);
    await settle(ids.at(-1) ?? '', rejected);
    const first = (await get(`${batch}/otps?status=failed`)).json;
    expect(first).toEqual({ otps: [], next: '1000' });
    const second = (await get(`${batch}/otps?status=failed&cursor=1000`)).json;
    expect(second).toMatchObject({ otps: [{ index: 1_009 }], next: null });
  });

  it('writes CSV that keeps commas, quotes and line ends in their field', async () => {
    const body = { otps: [{ to: `012${next++}`, reference: 'a "b", c' }] };
    const { batchId } = (await gateway.call('POST', '/v1/otps/bulk', { body })).json as { batchId: string };
    const { text } = await get(`/v1/batches/${batchId}/otps`, { Accept: 'text/csv' });
    expect(text).toContain(',"a ""b"", c",');
  });
});

describe('the CSV export', () => {
  it('quotes a semicolon, which separates cells in locales with a decimal comma', async () => {
    const body = { otps: [{ to: `012${next++}`, reference: 'a;=1+2;b;@x' }] };
    const { batchId } = (await gateway.call('POST', '/v1/otps/bulk', { body })).json as { batchId: string };
    const { text } = await get(`/v1/batches/${batchId}/otps`, { Accept: 'text/csv' });
    expect(text).toContain(`,"a;'=1+2;b;'@x",`);
  });

  it.each(['=1+2', '+1+1', '+cmd', '-1', '@SUM(A1)', '\tx', '\rx', '="a"&B1'])(
    'writes %j so that no spreadsheet takes it for a formula',
    async (reference) => {
      const { batch } = await batchOf(1);
      const { otps } = (await get(`${batch}/otps`)).json as { otps: BatchOtp[] };
      const groups = async function* () {
        yield otps.map((otp) => ({ ...otp, reference }));
      };
      let text = '';
      for await (const part of batchOtpsCsv(groups())) text += part;
      const cell = `'${reference}`;
      const quoted = /["\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
      expect(text).toContain(`,${quoted},queued,`);
    },
  );
});

describe('a batch: its status', () => {
  const upload = async (options: object = {}) => {
    const body = { otps: [{ to: `012${next++}` }], ...options };
    const { batchId, results } = (await gateway.call('POST', '/v1/otps/bulk', { body })).json as {
      batchId: string;
      results: { id: string }[];
    };
    return { path: `/v1/batches/${batchId}`, batch: batchOfId(batchId) ?? '', otp: results[0]?.id ?? '' };
  };
  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

  it('is scheduled until its start, and its end is estimated by its pace', async () => {
    const startAt = inAnHour();
    const { path } = await upload({ startAt, perSecond: 2 });
    const estimatedEnd = new Date(Date.parse(startAt) + 500).toISOString();
    const expected = { status: 'scheduled', startAt, perSecond: 2, waitsFor: 'start', estimatedEnd };
    expect((await get(path)).json).toMatchObject(expected);
  });

  it('is sending with rate and estimated end once it began, and finished when nothing is left', async () => {
    const { path, batch, otp } = await upload({ name: 'Friday' });
    expect(await store.batches.markStarted(batch)).toBe(true);
    const startedAt = (await store.batches.facts(batch))?.startedAt ?? 0;
    await settle(otp, accepted());
    await store.batches.markFinished(batch);
    const finished = { status: 'finished', waiting: 0, waitsFor: null, estimatedEnd: null };
    const reply = (await get(path)).json as { rate: number; finishedAt: string };
    expect(reply).toMatchObject({
      ...finished,
      name: 'Friday',
      startedAt: new Date(startedAt).toISOString(),
    });
    const seconds = Math.max(1, (Date.parse(reply.finishedAt) - startedAt) / 1_000);
    expect(reply.rate).toBe(Math.round(10 / seconds) / 10);
  });

  it('tells what the last turn found that its lines wait for', async () => {
    const { path, batch } = await upload();
    const active = { batch, app: 'shop', waiting: 1, order: 1, waitsFor: 'number_range' } as const;
    await store.waitingLines.note({ ...active, inFlight: 0 });
    expect((await get(path)).json).toMatchObject({ status: 'sending', waitsFor: 'number_range' });
  });

  it('is finished where no OTP was accepted and the upload has ended', async () => {
    const body = { otps: [{ to: 'nobody' }], name: 'Friday' };
    const { batchId } = (await gateway.call('POST', '/v1/otps/bulk', { body })).json as { batchId: string };
    expect((await get(`/v1/batches/${batchId}`)).json).toMatchObject({ status: 'finished', lines: 0 });
  });
});

describe('changing a batch', () => {
  const patch = async (path: string, body: unknown) => await gateway.call('PATCH', path, { body });
  const scheduled = async () => {
    const startAt = new Date(Date.now() + 3_600_000).toISOString();
    const body = { otps: [{ to: `012${next++}` }], startAt };
    const { batchId, results } = (await gateway.call('POST', '/v1/otps/bulk', { body })).json as {
      batchId: string;
      results: { id: string }[];
    };
    return { path: `/v1/batches/${batchId}`, batch: batchOfId(batchId) ?? '', otp: results[0]?.id ?? '' };
  };

  it('pauses and resumes it, sets and removes its pace', async () => {
    const { batch } = await batchOf(1);
    const paused = await patch(batch, { paused: true, perSecond: 5 });
    expect(paused.status).toBe(200);
    expect(paused.json).toMatchObject({ status: 'paused', paused: true, perSecond: 5, waitsFor: 'paused' });
    expect((await patch(batch, { perSecond: null })).json).toMatchObject({ paused: true, perSecond: null });
    expect((await patch(batch, { paused: false })).json).toMatchObject({ status: 'sending', paused: false });
  });

  it('moves its start and, with it, the deadlines of its OTPs', async () => {
    const { path, otp } = await scheduled();
    const startAt = new Date(Date.now() + 6 * 86_400_000).toISOString();
    expect((await patch(path, { startAt })).json).toMatchObject({ status: 'scheduled', startAt });
    const deadline = new Date(Date.parse(startAt) + 3_600_000).toISOString();
    expect((await get(`/v1/otps/${otp}`)).json).toMatchObject({ sendDeadline: deadline });
  });

  it('starts it now where the start has passed', async () => {
    const { path } = await scheduled();
    const { json } = await patch(path, { startAt: '2025-01-01T00:00:00Z' });
    expect(json).toMatchObject({ status: 'sending' });
    expect(Date.parse((json as { startAt: string }).startAt)).toBeGreaterThan(Date.now() - 60_000);
  });

  it('has its job look at it at once', async () => {
    const { path, batch } = await scheduled();
    const job = await gateway.batchQueue.queue.getJob(path.slice('/v1/batches/'.length));
    await gateway.redis.zadd(
      gateway.batchQueue.queue.toKey('delayed'),
      Date.now() * 4_096 * 2,
      job?.id ?? '',
    );
    await gateway.redis.lrem(gateway.batchQueue.queue.toKey('wait'), 0, job?.id ?? '');
    expect(await job?.isDelayed()).toBe(true);
    await patch(path, { paused: true });
    expect(await job?.isDelayed()).toBe(false);
    expect(batch).not.toBe('');
  });

  it('answers 409 batch_started to a start for a batch that has started, or had none', async () => {
    const startAt = new Date(Date.now() + 3_600_000).toISOString();
    const { batch: atOnce } = await batchOf(1);
    expectProblem(await patch(atOnce, { startAt }), 409, 'batch_started');
    const { path, batch } = await scheduled();
    await patch(path, { startAt: '2025-01-01T00:00:00Z' });
    await store.batches.markStarted(batch);
    expectProblem(await patch(path, { startAt }), 409, 'batch_started');
  });

  it('answers 409 batch_ended once it was cancelled or has finished', async () => {
    const { batch: cancelled } = await batchOf(1);
    await gateway.call('DELETE', cancelled);
    expectProblem(await patch(cancelled, { paused: true }), 409, 'batch_ended');
    const { batch: finished } = await batchOf(1);
    await store.batches.markFinished(batchOfId(finished.split('/').at(-1) ?? '') ?? '');
    expectProblem(await patch(finished, { paused: true }), 409, 'batch_ended');
  });

  it.each([{}, { paused: 'yes' }, { perSecond: 0 }, { startAt: null }, { name: 'x' }])(
    '400: %j',
    async (body) => {
      const { batch } = await batchOf(1);
      expectProblem(await patch(batch, body), 400, 'invalid_request');
    },
  );

  it('answers 400 to a start that is more than 7 days after the upload', async () => {
    const { path, batch } = await scheduled();
    await gateway.redis.hincrby(keys.batch(batch), 'createdAt', -86_400_000);
    const startAt = new Date(Date.now() + 6.5 * 86_400_000).toISOString();
    expectProblem(await patch(path, { startAt }), 400, 'invalid_request');
  });
});

describe('the list of batches', () => {
  const list = async (query = '', key = bankKey) => {
    const { json } = await gateway.call('GET', `/v1/batches${query}`, { key });
    return json as { batches: { id: string; status: string; createdAt: string }[]; next: string | null };
  };
  const uploaded = async (options: object = {}) => {
    const body = { otps: [{ to: `012${next++}` }], ...options };
    const { json } = await gateway.call('POST', '/v1/otps/bulk', { body, key: bankKey });
    return (json as { batchId: string }).batchId;
  };

  it('has those of the app, newest first, page by page, by status and by time', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 30; i++) ids.unshift(await uploaded(i % 10 === 0 ? { perSecond: 1 } : {}));
    const listed: string[] = [];
    for (let query: string | null = '?limit=7'; query !== null; ) {
      const { batches, next: more } = await list(query);
      listed.push(...batches.map(({ id }) => id));
      query = more === null ? null : `?limit=7&cursor=${more}`;
    }
    expect(listed).toEqual(ids);
    await gateway.call('DELETE', `/v1/batches/${ids[3]}`, { key: bankKey });
    expect((await list('?status=cancelled')).batches.map(({ id }) => id)).toEqual([ids[3]]);
    const { batches } = await list();
    expect(batches).toHaveLength(20);
    const since = batches[4]?.createdAt ?? '';
    expect((await list(`?since=${since}`)).batches.map(({ id }) => id)).toEqual(ids.slice(0, 5));
    expect((await list(`?until=${since}&limit=100`)).batches.map(({ id }) => id)).toEqual(ids.slice(5));
    const second = `since=${batches[9]?.createdAt}&until=${since}&limit=3`;
    const { next, ...page } = await list(`?${second}`);
    expect(page.batches.map(({ id }) => id)).toEqual(ids.slice(5, 8));
    expect((await list(`?${second}&cursor=${next}`)).batches.map(({ id }) => id)).toEqual(ids.slice(8, 10));
    expect((await list('?status=finished')).batches).toEqual([]);
  });

  it('tells batches of the same millisecond apart across pages', async () => {
    const key = keys.batchesOfApp('bank');
    const at = String(Date.now());
    for (const batch of await gateway.redis.zrange(key, '0', '-1')) await gateway.redis.zadd(key, at, batch);
    const first = await list('?limit=11');
    const second = await list(`?limit=100&cursor=${first.next}`);
    const ids = [...first.batches, ...second.batches].map(({ id }) => id);
    expect(new Set(ids).size).toBe(30);
    expect(ids).toHaveLength(30);
  });

  it('has no upload all of whose lines were rejected, and none that is no longer kept', async () => {
    const listed = async () => (await list('?limit=100')).batches.map(({ id }) => id);
    const before = await listed();
    await uploaded({ otps: [{ to: 'nobody' }], name: 'refused' });
    const gone = await uploaded();
    await gateway.redis.del(keys.batch(batchOfId(gone) ?? ''));
    expect(await listed()).toEqual(before);
  });

  it('expires with the last batch that it can hold', async () => {
    expect(await gateway.redis.pttl(keys.batchesOfApp('bank'))).toBeGreaterThan(7 * 86_400_000);
  });

  it.each([
    'status=lost',
    'since=yesterday',
    'until=1',
    'cursor=1',
    'limit=0',
    'limit=101',
    'limit=1e1',
    'more=1',
  ])('400: %s', async (query) => {
    expectProblem(await get(`/v1/batches?${query}`), 400, 'invalid_request');
  });
});

describe('cancelling a batch', () => {
  it('cancels its unsent OTPs at once; a code already sent can still be verified', async () => {
    const { batch, ids } = await batchOf(40);
    const [sent = '', waiting = ''] = ids;
    await settle(sent, accepted());
    expect((await gateway.call('DELETE', batch)).status).toBe(204);
    expect((await gateway.call('DELETE', batch)).status).toBe(204);
    expect(await counts(batch)).toMatchObject({ queued: 0, cancelled: 39, sent: 1 });
    expect(await store.sendAttempts.claim(waiting, 'late')).toMatchObject({ kind: 'ended' });
    expect(await counts(batch)).toMatchObject({ queued: 0, cancelled: 39, sent: 1 });
    expect((await get(`/v1/otps/${waiting}`)).json).toMatchObject({ status: 'cancelled' });
    expect((await get(`/v1/otps/${sent}`)).json).toMatchObject({ status: 'sent' });
  });

  it('reports what it did not reach, and cancels that when repeated', async () => {
    const { batch, ids } = await batchOf(40);
    await gateway.call('DELETE', batch);
    // As if the master of one partition had been away.
    const partition = partitionOfId(ids[0] ?? '') ?? '';
    await gateway.redis.hdel(
      keys.batchCounts(partition, batchOfId(batch.split('/').at(-1) ?? '') ?? ''),
      'cancelledAt',
    );
    const { json } = await get(batch);
    expect(json).toMatchObject({ cancelled: false });
    const waiting = (json as { counts: { queued: number } }).counts.queued;
    expect(waiting).toBeGreaterThan(0);
    expect(await counts(batch)).toMatchObject({ cancelled: 40 - waiting });
    await gateway.call('DELETE', batch);
    expect((await get(batch)).json).toMatchObject({ cancelled: true, counts: { queued: 0, cancelled: 40 } });
  });

  it('gives the cooldown of cancelled OTPs back', async () => {
    const strict = await startGateway({ policy: { recipientCooldownMs: 60_000 } });
    const to = `012${next++}`;
    const bulk = await strict.call('POST', '/v1/otps/bulk', { body: { otps: [{ to }] } });
    const { batchId } = bulk.json as { batchId: string };
    expect((await strict.call('POST', '/v1/otps', { body: { to } })).status).toBe(429);
    await strict.call('DELETE', `/v1/batches/${batchId}`);
    expect((await strict.call('POST', '/v1/otps', { body: { to } })).status).toBe(202);
  });
});

describe('listing a batch: 400', () => {
  it.each(['status=lost', 'limit=0', 'limit=501', 'limit=x', 'cursor=-1', 'cursor=1e2', 'more=1'])(
    '%s',
    async (query) => {
      const { batch } = await batchOf(1);
      expectProblem(await get(`${batch}/otps?${query}`), 400, 'invalid_request');
    },
  );
});

describe('listing a batch: 404', () => {
  it('another app’s batch looks like a missing one', async () => {
    const { batch } = await batchOf(1);
    for (const path of [batch, `/v1/batches/batch_${'a'.repeat(22)}`, '/v1/batches/x']) {
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        const body = method === 'PATCH' ? { paused: true } : undefined;
        expectProblem(await gateway.call(method, path, { key: bankKey, body }), 404, 'batch_not_found');
      }
      expectProblem(await gateway.call('GET', `${path}/otps`, { key: bankKey }), 404, 'batch_not_found');
    }
    expect((await gateway.call('GET', batch, { key: shopKey })).status).toBe(200);
  });
});

describe('listing a batch: 406', () => {
  it('for an unknown media type', async () => {
    const { batch } = await batchOf(1);
    expectProblem(await get(`${batch}/otps`, { Accept: 'image/png' }), 406, 'not_acceptable');
  });
});

describe('an export', () => {
  /** The routes of batches behind a stand-in for authentication; each time slice is awaited as `next` says. */
  const startRoutes = async (next: () => Promise<void>) => {
    const exportSlots = createAppSlots('too_many_exports');
    const routes = batchRoutes({
      store,
      batchQueue: { wake: async () => {} },
      slices: { next },
      exportSlots,
    });
    const dispatch = createDispatcher(routes, {
      authenticate: (_req, res) => {
        contextOf(res).app = 'shop';
      },
      answerError: createErrorAnswers({ info: () => {}, warn: () => {}, error: () => {} }, () => false),
      isTrusted: () => false,
    });
    const server = createServer((req, res) => {
      beginContext(res, 'request');
      dispatch(req, res);
    }).listen(0, '127.0.0.1');
    afterFile(async () => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return async (batch: string, accept: string) =>
      await fetch(`http://127.0.0.1:${port}${batch}/otps`, {
        headers: { Accept: accept, Connection: 'close' },
      });
  };
  const csv = 'text/csv';

  it('is rejected as too_many_exports while the app runs four; a page of JSON is not', async () => {
    const gate = new EventEmitter();
    const opened = once(gate, 'open');
    const get = await startRoutes(async () => void (await opened));
    const { batch } = await batchOf(1);
    const underWay = await Promise.all(
      [csv, csv, 'application/x-ndjson', csv].map((type) => get(batch, type)),
    );
    expect(underWay.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const fifth = await get(batch, csv);
    expect(fifth.status).toBe(429);
    expect(fifth.headers.get('Retry-After')).toBe('5');
    expect(await fifth.json()).toMatchObject({ code: 'too_many_exports' });
    const page = get(batch, 'application/json');
    gate.emit('open');
    expect((await page).status).toBe(200);
    for (const response of underWay) expect(await response.text()).toContain('queued');
    await vi.waitUntil(async () => (await get(batch, csv)).status === 200);
  });

  it('asks for a time slice before each 50 lines', async () => {
    let asked = 0;
    const get = await startRoutes(async () => {
      asked += 1;
    });
    const { batch, ids } = await batchOf(120);
    const text = await (await get(batch, csv)).text();
    expect(text.trim().split('\r\n')).toHaveLength(1 + ids.length);
    expect(asked).toBe(3);
  });
});
