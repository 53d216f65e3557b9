import { describe, expect, it, vi } from 'vitest';
import { createSendOtpQueue } from '../../src/queues/send-otp.js';
import { sleep } from '../support/otps.js';
import { bankKey, expectProblem, shopKey, startGateway } from './gateway.js';

/** As if workers kept up: none runs here. */
const load = { addDone: async () => {}, done: async () => Date.now(), memory: async () => 0 };
const gateway = await startGateway({ policy: { phoneCooldownMs: 30_000 }, load });
const send = createSendOtpQueue({ connection: gateway.redis, onError: () => {} });
const [queue] = send.queues;
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

/** Begins an upload with these lines, and reads its answers as they come; `more` may follow until `end`. */
const openUpload = async (lines: string, signal: AbortSignal | null = null) => {
  let more = (_lines: string) => {};
  let end = () => {};
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      more = (text) => controller.enqueue(new TextEncoder().encode(text));
      end = () => controller.close();
    },
  });
  more(lines);
  const response = await fetch(`${gateway.url}/v1/otps/bulk`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${shopKey}`, 'Content-Type': 'application/x-ndjson' },
    body,
    duplex: 'half',
    signal,
  });
  return { reader: response.body?.pipeThrough(new TextDecoderStream()).getReader(), more, end };
};

const find = async (id = '') => (await gateway.call('GET', `/v1/otps/${id}`)).json as Record<string, unknown>;
const ndjson = (items: unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('');

describe('202', () => {
  it('accepts each OTP on its own, and says why not where it does not', async () => {
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
      [3, 'phone_rate_limited'],
      [4, 'invalid_request'],
      [5, 'country_not_allowed'],
      [6, 'message_not_allowed'],
      [7, 'invalid_request'],
      [8, 'invalid_request'],
      [9, undefined],
    ]);
    expect(result.results[7]?.message).toBe('surprise is not known here');
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
    // Nor is a person refused whose number is in the same range.
    expect((await guarded.call('POST', '/v1/otps', { body: { to: '+60167779999' } })).status).toBe(202);
  });

  it('completes each OTP with the defaults, and gives bulk its longer deadline', async () => {
    const { result } = await upload({
      defaults: { ttlSeconds: 60, reference: 'all' },
      otps: [{ to: number() }, { to: number(), reference: 'own', sendWithinSeconds: 60 }],
    });
    const [first, second] = await Promise.all(result.results.map(({ id }) => find(id)));
    const within = ({ createdAt, sendBefore }: Record<string, unknown>) =>
      (Date.parse(String(sendBefore)) - Date.parse(String(createdAt))) / 1_000;
    expect(first).toMatchObject({ reference: 'all' });
    expect(second).toMatchObject({ reference: 'own' });
    expect([within(first ?? {}), within(second ?? {})]).toEqual([3_600, 60]);
  });

  it('puts a job into the bulk lane for each, with nothing in it that could identify anybody', async () => {
    const { result } = await upload({ otps: [{ to: number() }, { to: number() }] });
    for (const { id = '' } of result.results) {
      const job = await queue.getJob(id);
      expect(job?.priority).toBeGreaterThan(0);
      expect(job?.data).toEqual({ id, app: 'shop', to: expect.stringContaining('*') });
    }
  });

  it('sends nothing twice when it comes again with its key, and takes the rest of what broke off', async () => {
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

  it('takes no more places in line when it comes again', async () => {
    const backlog = async () => (await send.backlog()).bulkByApp.get('shop') ?? 0;
    const otps = Array.from({ length: 200 }, () => ({ to: number() }));
    const key = { 'Idempotency-Key': 'places' };
    await upload({ otps }, key);
    const before = await backlog();
    await upload({ otps }, key);
    expect(await backlog()).toBe(before);
  });

  it('keeps nothing in Redis of lines that ask for nothing', async () => {
    const keysBefore = await gateway.redis.dbsize();
    const { summary } = await uploadLines('\n'.repeat(20_000) + '1\n'.repeat(2_000));
    expect(summary).toMatchObject({ accepted: 0, rejected: 2_000 });
    expect((await gateway.redis.dbsize()) - keysBefore).toBeLessThan(5);
  });

  it('reads no members without end', async () => {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`m${i}`, 1]));
    const { result } = await upload({ otps: [{ ...many, to: number() }, { to: number() }] });
    expect(result.results.map(({ code }) => code)).toEqual(['invalid_request', undefined]);
    expect((await upload({ defaults: many, otps: [{ to: number() }] })).status).toBe(400);
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

  it('answers the lines that came while more may follow', async () => {
    const { reader, more, end } = await openUpload(ndjson([{ to: number() }]));
    expect((await reader?.read())?.value).toMatch(/^\{"index":0,"id":"otp_/);
    // Longer than a request may take that is no upload.
    await sleep(5_500);
    more(ndjson([{ to: number() }]));
    expect((await reader?.read())?.value).toMatch(/^\{"index":1,"id":"otp_/);
    end();
    expect((await reader?.read())?.value).toContain('"summary"');
  });

  it('refuses a line that is too long, and goes on with the next', async () => {
    const long = `{"to":"${'1'.repeat(200_000)}"}\n`;
    const { answers } = await uploadLines(`${long}${ndjson([{ to: number() }])}`);
    expect(answers[0]).toMatchObject({ index: 0, code: 'invalid_request' });
    expect(answers[1]).toMatchObject({ index: 1, id: expect.stringMatching(/^otp_/) });
  });

  it('slows an app to its limit instead of refusing', async () => {
    const slowed = await startGateway({ policy: { appPerSecond: 50 } });
    const otps = Array.from({ length: 120 }, () => ({ to: number() }));
    const began = performance.now();
    const reply = await slowed.call('POST', '/v1/otps/bulk', { body: { otps } });
    expect(reply.json).toMatchObject({ accepted: 120, rejected: 0 });
    expect(performance.now() - began).toBeGreaterThan(1_000);
  });

  it('answers a JSON upload after half a minute, whatever is still over the limit', {
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

describe('202 for lines that cannot be taken now', () => {
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

  it('are answered as before while Redis is nearly full, if they were accepted then under the same key', async () => {
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

  it('are each queue_unavailable when Redis fails them, and are accepted when they come again', async () => {
    const failing = await startGateway({
      addBulk: async () => {
        throw new Error('Connection is closed.');
      },
    });
    const [lines, key] = [three(), { 'Idempotency-Key': 'failed-at-first' }];
    const { answers, summary } = await uploadLines(lines, key, failing.url);
    expect(problemsOf(answers)).toEqual(Array(3).fill('queue_unavailable'));
    expect(summary).toMatchObject({ accepted: 0, rejected: 3 });
    const again = await uploadLines(lines, key);
    expect(again.summary).toMatchObject({ accepted: 3, rejected: 0 });
    for (const { id } of again.answers.slice(0, -1)) expect(await queue.getJob(id)).toBeDefined();
  });

  it('are logged with the upload that its sender cut off, and what was accepted stays', async () => {
    const before = gateway.logs.length;
    const gone = new AbortController();
    const { reader } = await openUpload(ndjson([{ to: number() }]), gone.signal);
    const { id } = JSON.parse((await reader?.read())?.value ?? '');
    gone.abort();
    const line = await vi.waitUntil(() =>
      gateway.logs.slice(before).find((text) => text.includes('/v1/otps/bulk')),
    );
    expect(JSON.parse(line)).toMatchObject({ aborted: true, app: 'shop' });
    expect(await find(id)).toMatchObject({ status: 'queued' });
  });
});

describe('400', () => {
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

describe('409 batch_cancelled', () => {
  it('an upload under the key of a batch that was cancelled', async () => {
    const key = { 'Idempotency-Key': 'to-be-cancelled' };
    const otps = [{ to: number() }];
    const { result } = await upload({ otps }, key);
    await gateway.call('DELETE', `/v1/batches/${result.batchId}`);
    expectProblem(await upload({ otps }, key), 409, 'batch_cancelled');
  });
});

describe('413', () => {
  it('a body of more than 16 MiB', async () => {
    expectProblem(await upload({ otps: [{ to: '1'.repeat(17 * 1_024 * 1_024) }] }), 413, 'body_too_large');
  });
});

describe('415', () => {
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

describe('401', () => {
  it('without a key, before anything is read', async () => {
    const reply = await gateway.call('POST', '/v1/otps/bulk', { key: null, body: { otps: [] } });
    expectProblem(reply, 401, 'unauthorized');
  });
});

it('one app’s key does not lead to another app’s batch', async () => {
  const key = { 'Idempotency-Key': 'shared-name' };
  const { result } = await upload({ otps: [{ to: number() }] }, key);
  const other = await gateway.call('POST', '/v1/otps/bulk', {
    key: bankKey,
    body: { otps: [{ to: number() }] },
    headers: key,
  });
  expect((other.json as BulkResult).batchId).not.toBe(result.batchId);
});
