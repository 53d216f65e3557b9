import { describe, expect, it, vi } from 'vitest';
import { batchOfId } from '../../../src/otp/otp-id.js';
import { createBatchQueue } from '../../../src/queues/batch.js';
import { createSendOtpQueue } from '../../../src/queues/send-otp.js';
import { keys } from '../../../src/store/keys.js';
import { sleep } from '../../support/otps.js';
import { bankKey, expectProblem, shopKey, startGateway } from '../gateway.js';

/** As if workers kept up: none runs here. */
const load = { addDone: async () => {}, done: async () => Date.now(), memory: async () => 0 };
const gateway = await startGateway({ policy: { recipientCooldownMs: 30_000 }, load });
const send = createSendOtpQueue({ connection: gateway.redis, onError: () => {} });
const [queue] = send.queues;
const batchQueue = createBatchQueue(gateway.redis, () => {});
let next = 1_000_000;
/** A number that no other test uses. */
const number = () => `012${next++}`;

interface BulkResult {
  batchId: string;
  accepted: number;
  rejected: number;
  results: { index: number; id?: string; code?: string; message?: string }[];
}

const upload = async (body: unknown, headers: Record<string, string> = {}) => {
  const reply = await gateway.call('POST', '/v1/otps/bulk', { body, headers });
  return { ...reply, result: reply.json as BulkResult };
};

/** Uploads lines, and gives back what was answered line by line. */
const uploadLines = async (
  lines: string,
  headers: Record<string, string> = {},
  url: string = gateway.url,
) => {
  const response = await fetch(`${url}/v1/otps/bulk`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${shopKey}`, 'Content-Type': 'application/x-ndjson', ...headers },
    body: lines,
  });
  const answers = (await response.text())
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { response, answers, summary: answers.at(-1)?.summary as BulkResult };
};

interface OpenUploadOptions {
  url?: string;
  key?: string;
  signal?: AbortSignal | null;
}

/** Begins an upload with these lines, and reads its answers as they come; `more` may follow until `end`. */
const openUpload = async (
  lines: string,
  { url = gateway.url, key = shopKey, signal = null }: OpenUploadOptions = {},
) => {
  let more = (_lines: string) => {};
  let end = () => {};
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      more = (text) => controller.enqueue(new TextEncoder().encode(text));
      end = () => controller.close();
    },
  });
  more(lines);
  const response = await fetch(`${url}/v1/otps/bulk`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/x-ndjson' },
    body,
    duplex: 'half',
    signal,
  });
  const location = response.headers.get('Location') ?? '';
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  return { status: response.status, headers: response.headers, location, reader, more, end };
};

const find = async (id = '') => (await gateway.call('GET', `/v1/otps/${id}`)).json as Record<string, unknown>;
const ndjson = (items: unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('');

describe('a bulk upload', () => {
  it('accepts each OTP by itself, and gives the reason for each rejection', async () => {
    const [good, twice] = [number(), number()];
    const { status, headers, result } = await upload({
      otps: [
        { to: good },
        { to: '12345' },
        { to: twice },
        { to: twice },
        { to: number(), message: 'no placeholder' },
        { to: '+4915112345678' },
        { to: number(), message: 'Visit www.example.com with %OTP%' },
        { to: number(), surprise: true },
        'nonsense',
        { to: number() },
      ],
    });
    expect(status).toBe(202);
    expect(headers.get('Location')).toBe(`/v1/batches/${result.batchId}`);
    expect(result).toMatchObject({ accepted: 3, rejected: 7 });
    expect(result.results.map(({ index, code }) => [index, code])).toEqual([
      [0, undefined],
      [1, 'invalid_phone_number'],
      [2, undefined],
      [3, 'recipient_rate_limited'],
      [4, 'invalid_request'],
      [5, 'country_not_allowed'],
      [6, 'message_not_allowed'],
      [7, 'invalid_request'],
      [8, 'invalid_request'],
      [9, undefined],
    ]);
    expect(result.results[7]?.message).toBe('`surprise` is unknown.');
    expect(await find(result.results[0]?.id)).toMatchObject({ status: 'queued', to: `+6${good}` });
  });

  it('accepts 600 OTPs to one number range while the toll-fraud guard enforces, also in two uploads', async () => {
    const guarded = await startGateway({ policy: { fraudGuard: 'enforce' }, load });
    const otps = Array.from({ length: 600 }, (_, n) => ({ to: `+6016777${String(n).padStart(4, '0')}` }));
    const accept = async (some: object[]) => {
      const reply = await guarded.call('POST', '/v1/otps/bulk', { body: { otps: some } });
      return reply.json as BulkResult;
    };
    const first = await accept(otps.slice(0, 300));
    await Promise.all(first.results.map(({ id = '' }) => guarded.send(id)));
    const second = await accept(otps.slice(300));
    expect([first.rejected, second.rejected]).toEqual([0, 0]);
    // A single OTP to the same range is accepted as well.
    expect((await guarded.call('POST', '/v1/otps', { body: { to: '+60167779999' } })).status).toBe(202);
  });

  it('completes each OTP with the defaults, and gives bulk its longer deadline', async () => {
    const { result } = await upload({
      defaults: { ttlSeconds: 60, reference: 'all' },
      otps: [{ to: number() }, { to: number(), reference: 'own', sendDeadlineSeconds: 60 }],
    });
    const [first, second] = await Promise.all(result.results.map(({ id }) => find(id)));
    const within = ({ createdAt, sendDeadline }: Record<string, unknown>) =>
      (Date.parse(String(sendDeadline)) - Date.parse(String(createdAt))) / 1_000;
    expect(first).toMatchObject({ reference: 'all' });
    expect(second).toMatchObject({ reference: 'own' });
    expect([within(first ?? {}), within(second ?? {})]).toEqual([3_600, 60]);
  });

  it('adds one job for the batch, and none for its OTPs', async () => {
    const { result } = await upload({ otps: [{ to: number() }, { to: number() }] });
    for (const { id = '' } of result.results) expect(await queue.getJob(id)).toBeUndefined();
    const { batchId: id } = result;
    const batch = batchOfId(id);
    expect((await batchQueue.queue.getJob(id))?.data).toEqual({ id, batch, app: 'shop', name: null });
  });

  it('sends nothing twice when repeated with its key, and accepts the rest of a broken upload', async () => {
    const items = Array.from({ length: 450 }, () => ({ to: number() }));
    const key = { 'Idempotency-Key': 'upload-1' };
    const first = await upload({ otps: items.slice(0, 250) }, key);
    const whole = await upload({ otps: items }, key);
    const again = await upload({ otps: items }, key);
    const ids = (reply: typeof whole) => reply.result.results.map(({ id }) => id);
    expect(whole.result).toMatchObject({ batchId: first.result.batchId, accepted: 450 });
    expect(ids(whole).slice(0, 250)).toEqual(ids(first));
    expect(ids(again)).toEqual(ids(whole));
    expect(new Set(ids(whole)).size).toBe(450);
    const other = await upload({ otps: items.map(({ to }) => ({ to, reference: 'x' })) }, key);
    expect(new Set(other.result.results.map(({ code }) => code))).toEqual(
      new Set(['idempotency_key_reused']),
    );
    expect((await upload({ otps: [{ to: number() }] })).result.batchId).not.toBe(first.result.batchId);
  });

  it('has each line wait once when repeated', async () => {
    const otps = Array.from({ length: 200 }, () => ({ to: number() }));
    const key = { 'Idempotency-Key': 'once' };
    const { result } = await upload({ otps }, key);
    await upload({ otps }, key);
    const { waiting, byPartition } = await gateway.store.waitingLines.count(batchOfId(result.batchId) ?? '');
    expect(waiting).toBe(200);
    expect(byPartition.reduce((a, b) => a + b, 0)).toBe(200);
  });

  it('stores nothing for rejected lines', async () => {
    const keysBefore = await gateway.redis.dbsize();
    const { summary } = await uploadLines('\n'.repeat(20_000) + '1\n'.repeat(2_000));
    expect(summary).toMatchObject({ accepted: 0, rejected: 2_000 });
    expect((await gateway.redis.dbsize()) - keysBefore).toBeLessThan(5);
  });

  it('rejects an OTP with too many members unread', async () => {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`m${i}`, 1]));
    const { result } = await upload({ otps: [{ ...many, to: number() }, { to: number() }] });
    expect(result.results.map(({ code }) => code)).toEqual(['invalid_request', undefined]);
    expect((await upload({ defaults: many, otps: [{ to: number() }] })).status).toBe(400);
  });

  it('accepts 10,000 OTPs of 200 bytes in one document', async () => {
    const otps = Array.from({ length: 10_000 }, () => ({ to: '12345', reference: 'x'.repeat(172) }));
    const body = JSON.stringify({ otps });
    expect(body.length).toBeGreaterThan(2_000_000);
    expect((await upload(body)).result).toMatchObject({ accepted: 0, rejected: 10_000 });
  });

  it('rejects deeply nested OTPs one by one, and accepts the others', async () => {
    const deep = `${'['.repeat(500_000)}${']'.repeat(500_000)}`;
    const { result } = await upload(`{"otps":[{"to":${deep}},{"to":"${number()}"},{"to":[[[[]]]]}]}`);
    expect(result.results.map(({ code }) => code)).toEqual(['invalid_request', undefined, 'invalid_request']);
  });

  it('accepts nothing of a document that is invalid JSON at its end', async () => {
    const to = number();
    expectProblem(await upload(`{"otps":[{"to":"${to}"},{"to":oops}]}`), 400, 'invalid_request');
    const { json } = await gateway.call('POST', '/v1/otps', { body: { to } });
    expect(json).toMatchObject({ status: 'queued' });
  });

  it('gives two uploads with one key at the same time the same OTPs', async () => {
    const otps = Array.from({ length: 300 }, () => ({ to: number() }));
    const key = { 'Idempotency-Key': 'at-the-same-time' };
    const [one, two] = await Promise.all([upload({ otps }, key), upload({ otps }, key)]);
    expect(one.result).toMatchObject({ accepted: 300, rejected: 0 });
    expect(two.result.results).toEqual(one.result.results);
  });

  it('is answered line by line, with a summary at the end', async () => {
    const lines = ndjson([{ to: number() }, { to: 'nobody' }, { to: number() }]);
    const { response, answers, summary } = await uploadLines(`\n${lines}not json\n\n{"to":"${number()}"}`);
    expect(response.status).toBe(202);
    expect(response.headers.get('Content-Type')).toContain('application/x-ndjson');
    expect(answers.map(({ index, code }) => [index, code])).toEqual([
      [1, undefined],
      [2, 'invalid_phone_number'],
      [3, undefined],
      [4, 'invalid_request'],
      [6, undefined],
      [undefined, undefined],
    ]);
    expect(summary).toMatchObject({ accepted: 3, rejected: 2, batchId: expect.stringMatching(/^batch_/) });
  });

  it('answers lines while more may follow', async () => {
    const { reader, more, end } = await openUpload(ndjson([{ to: number() }]));
    expect((await reader?.read())?.value).toMatch(/^\{"index":0,"id":"otp_/);
    // Longer than a request may take that is no upload.
    await sleep(5_500);
    more(ndjson([{ to: number() }]));
    expect((await reader?.read())?.value).toMatch(/^\{"index":1,"id":"otp_/);
    end();
    expect((await reader?.read())?.value).toContain('"summary"');
  });

  it('rejects a line that is too long, and continues with the next', async () => {
    const long = `{"to":"${'1'.repeat(200_000)}"}\n`;
    const { answers } = await uploadLines(`${long}${ndjson([{ to: number() }])}`);
    expect(answers[0]).toMatchObject({ index: 0, code: 'invalid_request' });
    expect(answers[1]).toMatchObject({ index: 1, id: expect.stringMatching(/^otp_/) });
  });

  it('slows an app to its limit instead of rejecting', async () => {
    const slowed = await startGateway({ policy: { appPerSecond: 50 } });
    const otps = Array.from({ length: 120 }, () => ({ to: number() }));
    const began = performance.now();
    const reply = await slowed.call('POST', '/v1/otps/bulk', { body: { otps } });
    expect(reply.json).toMatchObject({ accepted: 120, rejected: 0 });
    expect(performance.now() - began).toBeGreaterThan(1_000);
  });

  it('answers a JSON upload after half a minute even if lines still wait for the limit', {
    timeout: 45_000,
  }, async () => {
    const slowed = await startGateway({ policy: { appPerSecond: 1 }, load });
    const otps = Array.from({ length: 300 }, () => ({ to: number() }));
    const { json } = await slowed.call('POST', '/v1/otps/bulk', { body: { otps } });
    const { accepted, results } = json as BulkResult;
    expect(accepted).toBeGreaterThan(20);
    expect(accepted).toBeLessThan(40);
    expect(results.filter(({ code }) => code === 'app_rate_limited')).toHaveLength(300 - accepted);
  });
});

describe('the options of a bulk upload', () => {
  const startAt = new Date(Date.now() + 6 * 86_400_000).toISOString();
  const facts = async (batchId: string) => await gateway.store.batches.facts(batchOfId(batchId) ?? '');

  it('are members of a JSON document; deadlines count from the start', async () => {
    const options = { name: 'Friday', startAt, perSecond: 50 };
    const { result } = await upload({ otps: [{ to: number() }], ...options });
    expect(await facts(result.batchId)).toMatchObject({ ...options, startAt: Date.parse(startAt) });
    const deadline = new Date(Date.parse(startAt) + 3_600_000).toISOString();
    expect(await find(result.results[0]?.id)).toMatchObject({ sendDeadline: deadline });
  });

  it('are query parameters of newline-delimited JSON', async () => {
    const query = new URLSearchParams({ name: 'Friday', startAt, perSecond: '50' });
    const response = await fetch(`${gateway.url}/v1/otps/bulk?${query}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${shopKey}`, 'Content-Type': 'application/x-ndjson' },
      body: ndjson([{ to: number() }]),
    });
    expect(response.status).toBe(202);
    await response.text();
    const batchId = (response.headers.get('Location') ?? '').split('/').at(-1) ?? '';
    expect(await facts(batchId)).toMatchObject({
      name: 'Friday',
      startAt: Date.parse(startAt),
      perSecond: 50,
    });
  });

  it('refuse a rate that is no whole number in digits', async () => {
    const response = await fetch(`${gateway.url}/v1/otps/bulk?perSecond=1e2`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${shopKey}`, 'Content-Type': 'application/x-ndjson' },
      body: ndjson([{ to: number() }]),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ errors: [{ path: 'perSecond' }] });
  });

  it('stay those of the first time when the upload is repeated under its key', async () => {
    const headers = { 'Idempotency-Key': 'options' };
    const otps = [{ to: number() }];
    const { result } = await upload({ otps, name: 'Friday' }, headers);
    await upload({ otps, name: 'Monday', perSecond: 1 }, headers);
    expect(await facts(result.batchId)).toMatchObject({ name: 'Friday', perSecond: null });
  });

  it('start the batch at once where the start has passed', async () => {
    const { result } = await upload({ otps: [{ to: number() }], startAt: '2025-01-01T08:00:00+08:00' });
    expect(await facts(result.batchId)).toMatchObject({ startAt: null });
  });

  it('are kept until the last deadline that the start can lead to', async () => {
    const { result } = await upload({ otps: [{ to: number() }], startAt });
    const keptMs = await gateway.redis.pttl(keys.batch(batchOfId(result.batchId) ?? ''));
    expect(keptMs).toBeGreaterThan(7 * 86_400_000 + 3_600_000);
  });

  it('outlive the start even where its lines could not be written down', async () => {
    const options = { name: null, startAt: Date.parse(startAt), perSecond: null };
    const batch = (await gateway.store.batches.open('shop', null, options)) ?? '';
    expect(await gateway.redis.pttl(keys.batch(batch))).toBeGreaterThan(7 * 86_400_000);
  });

  it.each([
    ['name', ''],
    ['name', 'x'.repeat(101)],
    ['name', 'a\nb'],
    ['name', 'to 0123456789'],
    ['name', 'to +60 12-345 6789'],
    ['startAt', 'tomorrow'],
    ['startAt', '2026-01-01T00:00:00'],
    ['startAt', new Date(Date.now() + 7 * 86_400_000 + 60_000).toISOString()],
    ['perSecond', 0],
    ['perSecond', 1.5],
    ['perSecond', 10_001],
  ])('are rejected with 400: %s %j', async (member, value) => {
    const reply = await upload({ otps: [{ to: number() }], [member]: value });
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({ errors: [{ path: member }] });
    const query = new URLSearchParams({ [member]: String(value) });
    const headers = { 'Content-Type': 'application/x-ndjson' };
    const lines = await gateway.call('POST', `/v1/otps/bulk?${query}`, { body: '{}\n', headers });
    expectProblem(lines, 400, 'invalid_request');
  });

  it('are rejected with 400 in the query of a JSON document, which would start at once', async () => {
    const body = { otps: [{ to: number() }] };
    const reply = await gateway.call('POST', `/v1/otps/bulk?startAt=${startAt}`, { body });
    expectProblem(reply, 400, 'invalid_request');
  });
});

describe('lines of a bulk upload that cannot be accepted now', () => {
  const problemsOf = (answers: { code?: string }[]) => answers.slice(0, -1).map(({ code }) => code);
  const three = () => ndjson([{ to: number() }, { to: number() }, { to: number() }]);

  it('are each overloaded while Redis is nearly full, and nothing is kept for them', async () => {
    const full = { addDone: async () => {}, done: async () => 0, memory: async () => 0.95 };
    const busy = await startGateway({ load: full });
    const refused = async () => (await uploadLines(three(), {}, busy.url)).answers[0].code !== undefined;
    await vi.waitUntil(refused);
    const { answers, summary } = await uploadLines(three(), {}, busy.url);
    expect(problemsOf(answers)).toEqual(['overloaded', 'overloaded', 'overloaded']);
    expectProblem(await busy.call('GET', `/v1/batches/${summary.batchId}`), 404, 'batch_not_found');
  });

  it('are replayed while Redis is nearly full, if they were accepted before under the same key', async () => {
    let memory = 0;
    const filling = await startGateway({
      load: { addDone: async () => {}, done: async () => Date.now(), memory: async () => memory },
    });
    const [lines, key] = [three(), { 'Idempotency-Key': 'before-it-was-full' }];
    const first = await uploadLines(lines, key, filling.url);
    expect(first.summary).toMatchObject({ accepted: 3 });
    memory = 0.95;
    await vi.waitUntil(async () => (await uploadLines(three(), {}, filling.url)).summary.accepted === 0, {
      timeout: 5_000,
      interval: 200,
    });
    const again = await uploadLines(`${lines}${three()}`, key, filling.url);
    expect(again.answers.slice(0, 3)).toEqual(first.answers.slice(0, 3));
    expect(problemsOf(again.answers).slice(3)).toEqual(['overloaded', 'overloaded', 'overloaded']);
  });

  it('are logged with the upload that the client broke off; accepted lines stay', async () => {
    const before = gateway.logs.length;
    const gone = new AbortController();
    const { reader } = await openUpload(ndjson([{ to: number() }]), { signal: gone.signal });
    const { id } = JSON.parse((await reader?.read())?.value ?? '');
    gone.abort();
    const line = await vi.waitUntil(() =>
      gateway.logs.slice(before).find((text) => text.includes('/v1/otps/bulk')),
    );
    expect(JSON.parse(line)).toMatchObject({ aborted: true, app: 'shop' });
    expect(await find(id)).toMatchObject({ status: 'queued' });
  });
});

describe('Redis stores for rejected lines', () => {
  /** Lines to one number, which takes one OTP in 30 s. */
  const overLimit = (to: string, count: number) => ndjson(Array.from({ length: count }, () => ({ to })));
  const keysOf = (batchId: string) => gateway.redis.keys(`*${batchId.replace('batch_', '')}*`);
  const codesOf = (answers: { code?: string }[]) => {
    const counts: Record<string, number> = {};
    for (const { code = 'accepted' } of answers.slice(0, -1)) counts[code] = (counts[code] ?? 0) + 1;
    return counts;
  };

  it('nothing without an idempotency key', async () => {
    const to = number();
    await gateway.call('POST', '/v1/otps', { body: { to } });
    const { summary } = await uploadLines(overLimit(to, 1_000));
    expect(summary).toMatchObject({ accepted: 0, rejected: 1_000 });
    expect(await keysOf(summary.batchId)).toEqual([]);
  });

  it('nothing, while accepted lines among them keep their index', async () => {
    const [to, other] = [number(), number()];
    const lines = `${overLimit(to, 300)}${ndjson([{ to: other }])}${overLimit(to, 300)}`;
    const { answers, summary } = await uploadLines(lines);
    expect(codesOf(answers)).toEqual({ accepted: 2, recipient_rate_limited: 599 });
    const { json } = await gateway.call('GET', `/v1/batches/${summary.batchId}/otps`);
    const { otps } = json as { otps: { index: number; to: string }[] };
    expect(otps.map(({ index, to: sentTo }) => [index, sentTo])).toEqual([
      [0, `+6${to}`],
      [300, `+6${other}`],
    ]);
  });

  it('a capped amount with an idempotency key; accepted lines are still replayed', async () => {
    const [first, to] = [number(), number()];
    const key = { 'Idempotency-Key': 'refused-without-end' };
    const lines = `${ndjson([{ to: first }])}${overLimit(to, 15_000)}`;
    const once = await uploadLines(lines, key);
    const counts = codesOf(once.answers);
    expect(counts['accepted']).toBe(2);
    expect(counts['too_many_rejected']).toBeGreaterThan(3_000);
    const keys = await keysOf(once.summary.batchId);
    const sizes = await Promise.all(
      keys.filter((key) => key.includes(':lines:')).map((key) => gateway.redis.strlen(key)),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(12_000 * 32);
    const again = await uploadLines(lines, key);
    expect(again.answers[0]).toEqual(once.answers[0]);
  });

  it('nothing more once the batch is cancelled, though lines still arrive', async () => {
    const { location, reader, more, end } = await openUpload(ndjson([{ to: number() }]));
    await reader?.read();
    expect((await gateway.call('DELETE', location)).status).toBe(204);
    for (let line = 1; line <= 2; line++) {
      more(ndjson([{ to: number() }]));
      expect(JSON.parse((await reader?.read())?.value ?? '')).toMatchObject({
        index: line,
        code: 'batch_cancelled',
      });
    }
    end();
  });
});

describe('a bulk upload: 400', () => {
  it('without a body and its type, as a client sends that lost its body', async () => {
    expectProblem(await gateway.call('POST', '/v1/otps/bulk'), 400, 'invalid_request');
  });

  it.each([
    ['no list', {}],
    ['an empty list', { otps: [] }],
    ['more than 10,000', { otps: Array.from({ length: 10_001 }, () => ({})) }],
    ['an unknown member', { otps: [{}], more: 1 }],
    ['no object', []],
  ])('%s', async (_, body) => {
    expectProblem(await upload(body), 400, 'invalid_request');
  });
});

describe('a bulk upload: 429 too_many_uploads', () => {
  it('for a fifth simultaneous upload of an app until one ends; other apps are not affected', async () => {
    const busy = await startGateway();
    const open = (key?: string) => openUpload('\n', { url: busy.url, ...(key !== undefined && { key }) });
    const uploads = await Promise.all(Array.from({ length: 4 }, () => open()));
    expect(uploads.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
    const fifth = await busy.call('POST', '/v1/otps/bulk', { body: { otps: [{ to: number() }] } });
    expectProblem(fifth, 429, 'too_many_uploads');
    expect(fifth.headers.get('Retry-After')).toBe('5');
    const ofOther = await open(bankKey);
    expect(ofOther.status).toBe(202);
    expect((await busy.call('POST', '/v1/otps', { body: { to: number() } })).status).toBe(202);
    uploads[0]?.end();
    await uploads[0]?.reader?.read();
    await vi.waitUntil(async () => {
      const { status } = await busy.call('POST', '/v1/otps/bulk', { body: { otps: [{ to: number() }] } });
      return status === 202;
    });
    for (const { end } of [...uploads.slice(1), ofOther]) end();
  });
});

describe('a bulk upload: 429 too_many_batches', () => {
  it('for a new batch of an app with 1,000 batches of unsent OTPs until one is sent; its known batches go on', async () => {
    const { store, call } = await startGateway();
    const patient = { timeout: 20_000, interval: 100 };
    const app = 'shop';
    const bulk = (otps: object[], headers = {}, key = shopKey) =>
      call('POST', '/v1/otps/bulk', { body: { otps }, headers, key });
    const headers = { 'Idempotency-Key': 'one-of-a-thousand' };
    const known = await bulk([{ to: number() }], headers);
    const before = (await store.waitingLines.active()).filter((batch) => batch.app === app).length;
    const others = Array.from({ length: 1_000 - before }, (_, i) => `other-${i}`);
    const facts = { app, waiting: 1, inFlight: 0, order: Date.now(), waitsFor: 'start' as const };
    await Promise.all(others.map((batch) => store.waitingLines.note({ ...facts, batch })));
    const refused = await vi.waitUntil(async () => {
      const answer = await bulk([{ to: number() }]);
      return answer.status !== 202 && answer;
    }, patient);
    expectProblem(refused, 429, 'too_many_batches');
    expect(refused.headers.get('Retry-After')).toBe('60');
    expectProblem(await bulk([{ to: number() }], { 'Idempotency-Key': 'new' }), 429, 'too_many_batches');
    const more = await bulk([{ to: number() }, { to: number() }], headers);
    expect((known.json as BulkResult).accepted).toBe(1);
    expect((more.json as BulkResult).batchId).toBe((known.json as BulkResult).batchId);
    expect((more.json as BulkResult).accepted).toBe(1);
    expect((await bulk([{ to: number() }], {}, bankKey)).status).toBe(202);
    await store.waitingLines.drop(others);
    await vi.waitUntil(async () => (await bulk([{ to: number() }])).status === 202, patient);
  });
});

describe('a bulk upload: 409 batch_cancelled', () => {
  it('under the key of a cancelled batch', async () => {
    const key = { 'Idempotency-Key': 'to-be-cancelled' };
    const otps = [{ to: number() }];
    const { result } = await upload({ otps }, key);
    await gateway.call('DELETE', `/v1/batches/${result.batchId}`);
    expectProblem(await upload({ otps }, key), 409, 'batch_cancelled');
  });
});

describe('a bulk upload: 413', () => {
  it.each(['announced', 'in chunks'])('for a body of more than 2 MiB, %s', async (how) => {
    const body = JSON.stringify({ otps: [{ to: '1'.repeat(2 * 1_024 * 1_024) }] });
    const response = await fetch(`${gateway.url}/v1/otps/bulk`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${shopKey}`, 'Content-Type': 'application/json' },
      body: how === 'announced' ? body : new Blob([body]).stream(),
      duplex: 'half',
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: 'body_too_large' });
  });
});

describe('a bulk upload: 415', () => {
  it.each([
    { 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip' },
    { 'Content-Type': 'text/plain' },
  ])('%o', async (headers) => {
    const response = await fetch(`${gateway.url}/v1/otps/bulk`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${shopKey}`, ...headers },
      body: '{}\n',
    });
    expect(response.status).toBe(415);
  });
});

describe('a bulk upload: 401', () => {
  it('without a key, before the body is read', async () => {
    const reply = await gateway.call('POST', '/v1/otps/bulk', { key: null, body: { otps: [] } });
    expectProblem(reply, 401, 'unauthorized');
  });
});

it('one app’s idempotency key does not reach another app’s batch', async () => {
  const key = { 'Idempotency-Key': 'shared-name' };
  const { result } = await upload({ otps: [{ to: number() }] }, key);
  const other = await gateway.call('POST', '/v1/otps/bulk', {
    key: bankKey,
    body: { otps: [{ to: number() }] },
    headers: key,
  });
  expect((other.json as BulkResult).batchId).not.toBe(result.batchId);
});
