import { describe, expect, it } from 'vitest';
import { partitionOfId } from '../../../src/otp/otp-id.js';
import { keys } from '../../../src/store/keys.js';
import { loadScript } from '../../../src/store/script.js';
import { admitted, claimed, number, rejected, request, sent } from '../../support/otps.js';
import { bankKey, expectProblem, shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { store, redis } = gateway;

interface Page {
  otps: { id: string; status: string; to: string; createdAt: string }[];
  next: string | null;
}

/** Tests tell their OTPs apart by purpose. */
const list = (query: Record<string, string | number>, key = shopKey) => {
  const text = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return gateway.call('GET', `/v1/otps?${text.join('&')}`, { key });
};
const pageOf = async (query: Record<string, string | number>, key?: string) => {
  const reply = await list(query, key);
  expect(reply.status).toBe(200);
  return reply.json as Page;
};
const idsOf = ({ otps }: Page) => otps.map(({ id }) => id);
/** All pages. */
const follow = async (query: Record<string, string | number>) => {
  const pages: Page[] = [await pageOf(query)];
  for (let cursor = pages.at(-1)?.next; cursor; cursor = pages.at(-1)?.next) {
    pages.push(await pageOf({ ...query, cursor }));
  }
  return pages;
};
/** The list of the hour of an OTP's admission. */
const listOf = async (id: string, app = 'shop') => {
  const { createdAt } = JSON.parse((await redis.get(keys.recordOfId(id))) ?? '');
  return `${keys.otpsOfApp(app)}${Math.floor(createdAt / 3_600_000)}`;
};
const several = async (count: number, purpose: string) => {
  const ids: string[] = [];
  for (let i = 0; i < count; i++)
    ids.unshift(await admitted(store, { purpose, to: number(`01234${50_000 + i}`) }));
  return ids;
};
const upload = (otps: object[]) =>
  gateway.call('POST', '/v1/otps/bulk', { body: { otps } }) as Promise<{
    json: { batchId: string; results: { id?: string }[] };
  }>;

describe('GET /v1/otps: 200', () => {
  it("lists the app's OTPs, newest first, page by page, each once", async () => {
    const ids = await several(7, 'paged');
    const pages = await follow({ purpose: 'paged', limit: 3 });
    expect(pages.flatMap(idsOf)).toEqual(ids);
    expect(pages[0]?.otps).toHaveLength(3);
    expect(pages.at(-1)?.next).toBeNull();
  });

  it('keeps the places of a list while OTPs are added', async () => {
    const ids = await several(4, 'growing');
    const first = await pageOf({ purpose: 'growing', limit: 2 });
    await several(3, 'growing');
    const second = await pageOf({ purpose: 'growing', limit: 2, cursor: first.next ?? '' });
    expect([...idsOf(first), ...idsOf(second)]).toEqual(ids);
  });

  it("shows an OTP as GET /v1/otps/{id} does, and no other app's", async () => {
    const id = await sent(store, { purpose: 'same' });
    const { otps } = await pageOf({ purpose: 'same' });
    expect(otps).toEqual([(await gateway.call('GET', `/v1/otps/${id}`)).json]);
    expect(await pageOf({ purpose: 'same' }, bankKey)).toEqual({ otps: [], next: null });
    await redis.rpush(await listOf(id, 'bank'), id.slice(4));
    expect(await pageOf({ purpose: 'same' }, bankKey)).toEqual({ otps: [], next: null });
  });

  it('filters by the status that the clock gives an OTP', async () => {
    const purpose = 'statuses';
    const failed = await admitted(store, { purpose });
    await store.sendAttempts.settle(await claimed(store, failed), rejected);
    const expired = await admitted(store, { purpose, sendDeadlineSeconds: 0 });
    const waiting = await admitted(store, { purpose });
    const found = async (status: string) => idsOf(await pageOf({ purpose, status }));
    expect(await found('failed')).toEqual([failed]);
    expect(await found('expired')).toEqual([expired]);
    expect(await found('queued')).toEqual([waiting]);
    expect(await found('verified')).toEqual([]);
  });

  it('filters by time, from since on and before until', async () => {
    const at = async (id: string) => (await store.otps.find('shop', id))?.createdAt ?? 0;
    const iso = (ms: number) => new Date(ms).toISOString();
    const [older = ''] = await several(1, 'timed');
    const from = await at(older);
    await expect.poll(() => Date.now()).toBeGreaterThan(from);
    const [newer = ''] = await several(1, 'timed');
    const to = await at(newer);
    const found = async (query: object) => idsOf(await pageOf({ purpose: 'timed', ...query }));
    expect(await found({ since: iso(from), until: iso(to + 1) })).toEqual([newer, older]);
    expect(await found({ since: iso(to + 1) })).toEqual([]);
    expect(await found({ until: iso(from) })).toEqual([]);
    expect(await found({ until: iso(to) })).toEqual([older]);
  });

  it('goes on into earlier hours', async () => {
    const [id = ''] = await several(1, 'hours');
    const record = JSON.parse((await redis.get(keys.recordOfId(id))) ?? '');
    const createdAt = record.createdAt - 5 * 3_600_000;
    await redis.set(keys.recordOfId(id), JSON.stringify({ ...record, createdAt }), 'KEEPTTL');
    const hour = (ms: number) => `${keys.otpsOfApp('shop')}${Math.floor(ms / 3_600_000)}`;
    await redis.rpush(hour(createdAt), id.slice(4));
    const pages = await follow({ purpose: 'hours', limit: 1 });
    // Its place in the list of the present hour is another OTP's that Redis lost.
    expect(pages.flatMap(idsOf)).toEqual([id]);
    expect(idsOf(await pageOf({ purpose: 'hours', since: new Date(createdAt + 1).toISOString() }))).toEqual(
      [],
    );
    expect(idsOf(await pageOf({ purpose: 'hours', until: new Date(createdAt + 1).toISOString() }))).toEqual([
      id,
    ]);
  });

  it('finds an OTP that is 5,000 hours old, more than one call looks in', async () => {
    const kept = await startGateway({ policy: { retentionMs: 400 * 86_400_000 } });
    const id = await admitted(kept.store, { purpose: 'months' });
    const record = JSON.parse((await kept.redis.get(keys.recordOfId(id))) ?? '');
    const createdAt = record.createdAt - 5_000 * 3_600_000;
    await kept.redis.set(keys.recordOfId(id), JSON.stringify({ ...record, createdAt }), 'KEEPTTL');
    await kept.redis.rpush(`${keys.otpsOfApp('shop')}${Math.floor(createdAt / 3_600_000)}`, id.slice(4));
    const reply = await kept.call('GET', '/v1/otps?purpose=months');
    expect(idsOf(reply.json as Page)).toEqual([id]);
    const later = new Date(createdAt + 3_600_000).toISOString();
    const none = await kept.call('GET', `/v1/otps?purpose=months&since=${later}`);
    expect(none.json).toEqual({ otps: [], next: null });
  });

  it('looks in 500 hours in one call of Redis, and goes on from there', async () => {
    const read = loadScript(redis, 'otp/list#read');
    const hour = Math.floor(Date.now() / 3_600_000);
    const since = (hour - 600) * 3_600_000;
    const from = (start: number) => read([keys.otpsOfApp('idle')], [start, '', since, Date.now(), 1]);
    expect(await from(hour)).toEqual([hour - 500, 0, []]);
    expect(await from(hour - 500)).toBeNull();
  });

  it('skips OTPs that are erased, expired or unreadable', async () => {
    const [erased = '', gone = '', broken = '', left = ''] = await several(4, 'skipped');
    const erasedOtp = await store.otps.find('shop', erased);
    if (erasedOtp) await store.dataSubjects.erase(erasedOtp.to, [erasedOtp]);
    await redis.del(keys.recordOfId(gone));
    const raw = JSON.parse((await redis.get(keys.recordOfId(broken))) ?? '');
    await redis.set(keys.recordOfId(broken), JSON.stringify({ ...raw, encrypted: 'AAAA' }), 'KEEPTTL');
    expect(idsOf(await pageOf({ purpose: 'skipped' }))).toEqual([left]);
  });

  it('lists the lines of a batch alone, last ones first', async () => {
    const otps = [1, 2, 3, 4, 5].map((n) => ({ to: `012888700${n}`, purpose: n === 2 ? 'rare' : 'often' }));
    const { json } = await upload(otps);
    const ids = json.results.map(({ id }) => id).toReversed();
    const pages = await follow({ batch: json.batchId, limit: 2 });
    expect(pages.flatMap(idsOf)).toEqual(ids);
    expect((await follow({ batch: json.batchId, purpose: 'rare', limit: 1 })).flatMap(idsOf)).toEqual([
      ids[3],
    ]);
    expect((await follow({ purpose: 'often' })).flatMap(idsOf)).toHaveLength(4);
  });

  it('lists lines of batches among single OTPs, at a fraction of their memory', async () => {
    const older = await several(2, 'mixed');
    const bad = { to: '12' };
    const line = (n: number, purpose = 'mixed') => ({ to: `01288871${String(n).padStart(2, '0')}`, purpose });
    // An OTP that is the first of its partition in a new Redis is decided after the others.
    await upload([1, 2, 3, 4, 5, 6].map((n) => line(n, 'first')));
    const first = await upload([line(1), line(2), bad, line(3), line(4), line(5)]);
    const [newer = ''] = await several(1, 'mixed');
    const second = await upload([line(6)]);
    const idsFrom = ({ json }: typeof first) =>
      json.results.flatMap(({ id }) => (id === undefined ? [] : [id])).toReversed();
    const all = [...idsFrom(second), newer, ...idsFrom(first), ...older];
    expect(all).toHaveLength(9);
    for (const limit of [1, 2, 3, 4, 100]) {
      expect((await follow({ purpose: 'mixed', limit })).flatMap(idsOf)).toEqual(all);
    }
    const names = await redis.keys(`${keys.otpsOfApp('shop')}*`);
    const entries = (await Promise.all(names.toSorted().map((name) => redis.lrange(name, 0, -1)))).flat();
    const batch = first.json.batchId.slice('batch_'.length);
    expect(entries.filter((entry) => entry.startsWith(batch))).toEqual([`${batch} 0 2`, `${batch} 3 3`]);
  });

  it('finds the OTPs of a reference, newest first, for their app alone', async () => {
    const older = await admitted(store, { reference: 'order 7/ü' });
    await expect
      .poll(() => Date.now())
      .toBeGreaterThan((await store.otps.find('shop', older))?.createdAt ?? 0);
    const newer = await admitted(store, { reference: 'order 7/ü' });
    expect(idsOf(await pageOf({ reference: 'order 7/ü' }))).toEqual([newer, older]);
    expect(idsOf(await pageOf({ reference: 'order 7/ü', limit: 1 }))).toEqual([newer]);
    expect(await pageOf({ reference: 'order 7/ü' }, bankKey)).toEqual({ otps: [], next: null });
  });

  it('filters the OTPs of a reference, and names no further page', async () => {
    const one = await admitted(store, { reference: 'ref-1', purpose: 'a' });
    const other = await sent(store, { reference: 'ref-1', purpose: 'b' });
    expect(idsOf(await pageOf({ reference: 'ref-1' })).toSorted()).toEqual([one, other].toSorted());
    expect(await pageOf({ reference: 'ref-1', status: 'sent' })).toMatchObject({
      otps: [{ id: other }],
      next: null,
    });
    expect(idsOf(await pageOf({ reference: 'ref-1', purpose: 'a' }))).toEqual([one]);
  });

  it('streams all OTPs from the cursor on as NDJSON', async () => {
    const ids = await several(5, 'streamed');
    const { next } = await pageOf({ purpose: 'streamed', limit: 2 });
    const lines = async (cursor: string) => {
      const reply = await fetch(`${gateway.url}/v1/otps?purpose=streamed&limit=1${cursor}`, {
        headers: { Authorization: `Bearer ${shopKey}`, Accept: 'application/x-ndjson' },
      });
      expect(reply.headers.get('Content-Type')).toBe('application/x-ndjson');
      const text = await reply.text();
      return text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: string }).id);
    };
    expect(await lines('')).toEqual(ids);
    expect(await lines(`&cursor=${next}`)).toEqual(ids.slice(2));
  });

  it('stops reading at the first OTP that is older than `since`', async () => {
    const [id = ''] = await several(1, 'aged');
    const record = JSON.parse((await redis.get(keys.recordOfId(id))) ?? '');
    const aged = { ...record, createdAt: record.createdAt - 120_000 };
    await redis.set(keys.recordOfId(id), JSON.stringify(aged), 'KEEPTTL');
    const hour = `${keys.otpsOfApp('shop')}${Math.floor(record.createdAt / 3_600_000)}`;
    await redis.rpush(hour, ...Array.from({ length: 2_100 }, () => id.slice(4)));
    const since = new Date(record.createdAt).toISOString();
    expect(await pageOf({ purpose: 'aged', since })).toEqual({ otps: [], next: null });
    await redis.ltrim(hour, 0, -2_101);
  });

  it('looks through no hours that are still to come', async () => {
    const [id = ''] = await several(1, 'early');
    expect(idsOf(await pageOf({ purpose: 'early', until: '9999-12-31T23:59:59Z' }))).toEqual([id]);
    const cursor = Buffer.from('999999999999.0.0').toString('base64url');
    expect(idsOf(await pageOf({ purpose: 'early', cursor }))).toEqual([id]);
  });

  it('stops reading after 2,000 OTPs with a cursor from which it goes on', async () => {
    const [id = ''] = await several(1, 'far');
    const hour = await listOf(id);
    // Ids of records that are gone.
    const absent = Array.from({ length: 2_100 }, (_, i) => `mm${String(i).padStart(22, 'A')}`);
    await redis.rpush(hour, ...absent);
    const first = await pageOf({ purpose: 'far' });
    expect(first).toMatchObject({ otps: [], next: expect.any(String) });
    expect(idsOf(await pageOf({ purpose: 'far', cursor: first.next ?? '' }))).toEqual([id]);
  });
});

describe('the lists of an app', () => {
  it('live as long as their OTPs, and leave nothing for OTPs that were refused', async () => {
    const app = 'expiring';
    const { otp } = (await store.otps.admit(request({ app }), null)) as {
      otp: { id: string; createdAt: number };
    };
    const key = `${keys.otpsOfApp(app)}${Math.floor(otp.createdAt / 3_600_000)}`;
    expect(await redis.lrange(key, 0, -1)).toEqual([otp.id.slice(4)]);
    const record = keys.record(partitionOfId(otp.id) ?? '', otp.id);
    expect(await redis.pttl(key)).toBeGreaterThan(await redis.pttl(record));
    const again = { endpoint: 'POST /v1/otps', key: 'once', body: '{}' };
    await store.otps.admit(request({ app, to: number('0198765432') }), again);
    await store.otps.admit(request({ app, to: number('0198765432') }), again);
    expect(await redis.llen(key)).toBe(2);
    const limited = request({ app, to: number('0198765432'), limits: { recipientPerDay: 1 } as never });
    expect(await store.otps.admit(limited, null)).toMatchObject({ kind: 'refused' });
    expect(await redis.llen(key)).toBe(2);
  });
});

describe('GET /v1/otps: 400, 404, 406', () => {
  it.each([
    ['a cursor of no page', { cursor: 'nonsense' }, 'cursor'],
    ['a cursor that is empty', { cursor: '' }, 'cursor'],
    ['an unknown status', { status: 'lost' }, 'status'],
    ['a time without its offset', { since: '2026-11-25T00:00:00' }, 'since'],
    ['a reference with a batch', { reference: 'x', batch: `batch_${'A'.repeat(22)}` }, 'reference'],
    ['an id that is no batch', { batch: 'otp_x' }, 'batch'],
    ['a reference that is empty', { reference: '' }, 'reference'],
    ['a page without OTPs', { limit: 0 }, 'limit'],
    ['a page that takes too long', { limit: 501 }, 'limit'],
    ['a limit in another notation', { limit: '1e2' }, 'limit'],
    ['a parameter that is unknown', { page: 2 }, 'page'],
  ])('refuses %s and names the parameter', async (_what, query, path) => {
    const reply = await list(query as Record<string, string>);
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({ errors: [{ path }] });
  });

  it('refuses the cursor of another list', async () => {
    const { json } = await upload([{ to: '0128887001' }, { to: '0128887002' }]);
    const { next } = await pageOf({ batch: json.batchId, limit: 1 });
    expectProblem(await list({ cursor: next ?? '' }), 400, 'invalid_request');
  });

  it("does not know another app's batch", async () => {
    const { json } = await upload([{ to: '0128887001' }]);
    expectProblem(await list({ batch: json.batchId }, bankKey), 404, 'batch_not_found');
    expectProblem(await list({ batch: `batch_${'A'.repeat(22)}` }), 404, 'batch_not_found');
  });

  it('refuses media types that it does not have', async () => {
    const reply = await gateway.call('GET', '/v1/otps', { headers: { Accept: 'text/csv' } });
    expectProblem(reply, 406, 'not_acceptable');
  });
});
