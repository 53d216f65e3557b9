import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { type OtpInput, OtpUploadBroken, type UploadResult } from '../src/index.js';
import { beforeBody, broken, problem, type Script, startScriptedServer } from './scripted-server.js';

const server = await startScriptedServer();
const client = server.client();
const inputs = (count: number): OtpInput[] =>
  Array.from({ length: count }, (_, i) => ({ to: `+6012${1_000_000 + i}` }));
function* made(count: number): Generator<OtpInput> {
  yield* inputs(count);
}

const begin = (res: ServerResponse) =>
  res.writeHead(202, { 'Content-Type': 'application/x-ndjson', Location: '/v1/batches/batch_1' });
const result = (index: number) => `${JSON.stringify({ index, id: `otp_${index}` })}\n`;
const results = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => result(from + i)).join('');
const summary = (accepted: number) =>
  `${JSON.stringify({ summary: { batchId: 'batch_1', accepted, rejected: 0 } })}\n`;
/** Takes the whole upload. */
const takes =
  (count: number): Script =>
  (res) =>
    begin(res).end(results(0, count) + summary(count));
/** Breaks off after some answers, the last of them incomplete. */
const breaksAfter =
  (count: number): Script =>
  (res) => {
    begin(res).write(`${results(0, count)}{"index":${count},"id":"ot`);
    setTimeout(() => res.destroy(), 30);
  };
const rejection = async (call: Promise<unknown>): Promise<unknown> =>
  await call.then(
    () => null,
    (reason: unknown) => reason,
  );
const keys = () => server.requests.map(({ headers }) => headers['idempotency-key']);
const sentLines = (i = 0) => (server.requests[i]?.body ?? '').split('\n').filter(Boolean);

describe('an upload', () => {
  it('sends each OTP on a line of its own, completed with the defaults', async () => {
    server.plays(takes(2));
    const own: OtpInput = { to: '2', reference: 'own\nline' };
    await client.sendMany([{ to: '1' }, own], { defaults: { reference: 'all', ttlSeconds: 60 } });
    expect(sentLines().map((line) => JSON.parse(line))).toEqual([
      { to: '1', reference: 'all', ttlSeconds: 60 },
      { to: '2', reference: 'own\nline', ttlSeconds: 60 },
    ]);
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/v1/otps/bulk',
      headers: { 'content-type': 'application/x-ndjson' },
    });
  });

  it('reports a temporarily refused OTP again once a retry was accepted', async () => {
    const refusedFirst: Script = (res) => {
      const refusal = { index: 0, code: 'queue_unavailable', message: '' };
      const final = { index: 1, code: 'invalid_phone_number', message: '' };
      begin(res).write(`${JSON.stringify(refusal)}\n${JSON.stringify(final)}\n`);
      setTimeout(() => res.destroy(), 30);
    };
    server.plays(refusedFirst, takes(3));
    const told: UploadResult[] = [];
    await client.sendMany(inputs(3), { onResult: (one) => void told.push(one) });
    expect(told.map((one) => [one.index, 'code' in one ? one.code : one.id])).toEqual([
      [0, 'queue_unavailable'],
      [1, 'invalid_phone_number'],
      [0, 'otp_0'],
      [2, 'otp_2'],
    ]);
  });

  it.each([
    ['an array', (count: number) => inputs(count)],
    ['a generator', made],
    ['a set', (count: number) => new Set(inputs(count))],
    ['an async generator', (count: number) => eachLater(inputs(count))],
    ['a function', (count: number) => () => made(count)],
  ])('accepts %s of OTPs', async (_what, of) => {
    server.plays(takes(450));
    const seen: number[] = [];
    const options = { onResult: ({ index }: UploadResult) => seen.push(index) };
    expect(await client.sendMany(of(450), options)).toEqual({
      batchId: 'batch_1',
      accepted: 450,
      rejected: 0,
    });
    expect(seen).toEqual(Array.from({ length: 450 }, (_, i) => i));
    expect(sentLines()).toHaveLength(450);
  });

  it('reports first results before all OTPs are read', async () => {
    let goOn = () => {};
    const told = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    async function* waiting() {
      yield { to: '1' };
      await told;
      yield { to: '2' };
    }
    server.plays(
      beforeBody(async (res, req) => {
        begin(res).flushHeaders();
        let answered = 0;
        for await (const chunk of req) {
          for (const _line of String(chunk).match(/\n/g) ?? []) res.write(result(answered++));
        }
        res.end(summary(answered));
      }),
    );
    const { accepted } = await client.sendMany(waiting(), { onResult: goOn });
    expect(accepted).toBe(2);
  });

  it('reads OTPs only as fast as they are sent', async () => {
    let read = 0;
    function* endless() {
      for (;;) {
        read += 1;
        yield { to: '1', message: 'x'.repeat(1_000) };
      }
    }
    const controller = new AbortController();
    server.plays(beforeBody((res) => void begin(res).flushHeaders()));
    const upload = rejection(client.sendMany(endless(), { signal: controller.signal }));
    let before = 0;
    const stands = () => {
      const same = read > 0 && read === before;
      before = read;
      return same;
    };
    await vi.waitUntil(stands, { timeout: 20_000, interval: 250 });
    expect(read).toBeLessThan(20_000);
    controller.abort();
    await upload;
  });

  it('waits for the promise of onResult', async () => {
    server.plays(takes(3));
    let underWay = 0;
    const onResult = async () => {
      underWay += 1;
      for (let turn = 0; turn < 20; turn++) await setImmediate();
      expect(underWay).toBe(1);
      underWay -= 1;
    };
    await client.sendMany(inputs(3), { onResult });
    expect(underWay).toBe(0);
  });
});

describe('an upload that broke off', () => {
  it.each([
    ['an array', inputs(300)],
    ['a function', () => eachLater(inputs(300))],
  ])(
    'is sent again from the start under its key, with each result reported once, from %s',
    async (_what, source) => {
      server.plays(breaksAfter(120), breaksAfter(250), takes(300));
      const seen: number[] = [];
      const onResult = ({ index }: UploadResult) => seen.push(index);
      expect(await client.sendMany(source, { onResult })).toMatchObject({ accepted: 300 });
      expect(seen).toEqual(Array.from({ length: 300 }, (_, i) => i));
      expect(new Set(keys()).size).toBe(1);
      expect(keys()[0]).toBeDefined();
      expect([0, 1, 2].map((i) => sentLines(i).length)).toEqual([300, 300, 300]);
    },
  );

  it('rejects with advice when its OTPs cannot be read again', async () => {
    server.plays(breaksAfter(120));
    const error = await rejection(client.sendMany(made(300)));
    expect(error).toBeInstanceOf(OtpUploadBroken);
    expect(error).toMatchObject({
      code: 'network_error',
      batchId: 'batch_1',
      idempotencyKey: keys()[0],
      linesAnswered: 120,
    });
    expect(server.requests).toHaveLength(1);
  });

  it('rejects with advice after its last retry, or before any answer', async () => {
    server.plays(breaksAfter(1));
    const options = { idempotencyKey: 'upload-1' };
    expect(await rejection(client.sendMany(inputs(2), options))).toMatchObject({ linesAnswered: 1 });
    expect(keys()).toEqual(['upload-1', 'upload-1', 'upload-1']);
    server.plays(broken);
    const error = await rejection(server.client({ retries: 0 }).sendMany(inputs(2), options));
    expect(error).toBeInstanceOf(OtpUploadBroken);
    expect(error).toMatchObject({ batchId: null, idempotencyKey: 'upload-1', linesAnswered: 0 });
  });

  it.each<[string, Script]>([
    ['has no summary', (res) => begin(res).end(results(0, 2))],
    ['ends within its summary', (res) => begin(res).end(results(0, 2) + summary(2).slice(0, -1))],
  ])('is recognised by an answer that %s', async (_what, script) => {
    server.plays(script);
    expect(await rejection(client.sendMany(made(2)))).toMatchObject({
      code: 'network_error',
      linesAnswered: 2,
    });
    server.plays(script, takes(2));
    expect(await client.sendMany(inputs(2))).toMatchObject({ accepted: 2 });
  });

  it('is recognised by an answer that is not the gateway’s', async () => {
    server.plays((res) => begin(res).end('<html>\n'));
    const error = await rejection(client.sendMany(inputs(2)));
    expect(error).toBeInstanceOf(OtpUploadBroken);
    expect(error).toMatchObject({ code: 'invalid_answer' });
  });

  it('is recognised by a stalled answer', async () => {
    server.plays((res) => void begin(res).write(results(0, 1)));
    const error = await rejection(client.sendMany(made(2), { silenceMs: 1_000 }));
    expect(error).toBeInstanceOf(OtpUploadBroken);
    expect(error).toMatchObject({ code: 'timeout', linesAnswered: 1 });
  });

  it('holds no number or text in its error message', async () => {
    server.plays(breaksAfter(1));
    const error = await rejection(client.sendMany(made(2), { idempotencyKey: 'canary' }));
    expect(String(error)).not.toMatch(/6012|canary/);
  });
});

describe('an upload that is refused', () => {
  it('rejects with the problem of the gateway', async () => {
    for (const source of [inputs(2), made(2)]) {
      server.plays(problem('batch_cancelled'));
      const error = await rejection(client.sendMany(source));
      expect(error).not.toBeInstanceOf(OtpUploadBroken);
      expect(error).toMatchObject({ code: 'batch_cancelled', status: 409, idempotencyKey: keys()[0] });
      expect(server.requests).toHaveLength(1);
    }
  });

  it('is retried after a temporary problem', async () => {
    server.plays(problem('queue_unavailable'), takes(2));
    expect(await client.sendMany(inputs(2))).toMatchObject({ accepted: 2 });
    server.plays(problem('queue_unavailable'), takes(2));
    expect(await rejection(client.sendMany(made(2)))).toMatchObject({ code: 'queue_unavailable' });
  });
});

describe('an upload ends at once, without a retry, after', () => {
  const reason = new Error('enough');

  it('an abort of its signal', async () => {
    server.plays((res) => void begin(res).write(results(0, 1)));
    const controller = new AbortController();
    const onResult = () => controller.abort(reason);
    const upload = client.sendMany(inputs(2), { signal: controller.signal, onResult });
    expect(await rejection(upload)).toBe(reason);
    expect(await rejection(client.sendMany(inputs(2), { signal: controller.signal }))).toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  it('an error of onResult', async () => {
    server.plays(takes(2));
    const onResult = () => {
      throw reason;
    };
    expect(await rejection(client.sendMany(inputs(2), { onResult }))).toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  it('an error while reading its OTPs', async () => {
    async function* failing() {
      yield { to: '1' };
      throw reason;
    }
    server.plays(takes(1));
    expect(await rejection(client.sendMany(() => failing()))).toBe(reason);
    expect(server.requests.length).toBeLessThanOrEqual(1);
  });

  it('an OTP that is not JSON', async () => {
    server.plays(takes(1));
    const input = { to: '1', reference: 1n as unknown as string };
    expect(await rejection(client.sendMany([input]))).toBeInstanceOf(TypeError);
    expect(server.requests.length).toBeLessThanOrEqual(1);
  });
});

it('an upload closes its iterator however it ends', async () => {
  let closed = 0;
  function* counted() {
    try {
      for (;;) yield { to: '1', message: 'x'.repeat(1_000) };
    } finally {
      closed += 1;
    }
  }
  server.plays(beforeBody(problem('unauthorized')));
  await rejection(client.sendMany(counted()));
  server.plays(beforeBody((res) => void begin(res).end(summary(0))));
  await client.sendMany(counted());
  server.plays(beforeBody(broken));
  await rejection(client.sendMany(counted()));
  await expect.poll(() => closed).toBe(3);
});

it('an upload that broke off does not wait for further OTPs', async () => {
  async function* stuck() {
    yield { to: '1' };
    await new Promise(() => {});
  }
  server.plays(
    beforeBody((res) => {
      begin(res).write(result(0));
      setTimeout(() => res.destroy(), 50);
    }),
  );
  expect(await rejection(client.sendMany(stuck()))).toMatchObject({
    code: 'network_error',
    linesAnswered: 1,
  });
});

async function* eachLater(items: readonly OtpInput[]): AsyncGenerator<OtpInput> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}
