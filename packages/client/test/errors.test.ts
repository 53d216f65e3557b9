import { describe, expect, it } from 'vitest';
import { problemCodes, problems } from '../../../src/api/http/problems.js';
import { isOtpError, OtpClient, OtpError, type OtpErrorCode } from '../src/index.js';
import {
  apiKey,
  broken,
  json,
  otp,
  problem,
  type Script,
  silent,
  startScriptedServer,
} from './scripted-server.js';

const server = await startScriptedServer();

/** The error that this call ends with. */
const failing = async (call: Promise<unknown>): Promise<OtpError> => {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OtpError);
  return error as OtpError;
};
/** The error that a single try ends with when this is answered. */
const errorOf = async (script: Script, timeoutMs = 20_000) => {
  server.plays(script);
  return await failing(server.client({ retries: 0, timeoutMs }).get('otp_1'));
};

describe('the constructor of OtpClient', () => {
  it.each([
    ['a text that is not a URL', { baseUrl: 'otp.example', apiKey }],
    ['another scheme', { baseUrl: 'ftp://otp.example', apiKey }],
    ['a login in the URL', { baseUrl: 'https://user:password-canary@otp.example', apiKey }],
    ['a query in the URL', { baseUrl: 'https://otp.example?x=password-canary', apiKey }],
    ['a missing key', { baseUrl: 'https://otp.example', apiKey: '' }],
    [
      'a key with characters that a header cannot hold',
      { baseUrl: 'https://otp.example', apiKey: 'password-canary\n' },
    ],
    ['a time-out of 0', { baseUrl: 'https://otp.example', apiKey, timeoutMs: 0 }],
    ['a time-out beyond the range of timers', { baseUrl: 'https://otp.example', apiKey, timeoutMs: 2 ** 31 }],
    ['a fractional number of retries', { baseUrl: 'https://otp.example', apiKey, retries: 0.5 }],
  ])('rejects %s, without quoting it', (_what, options) => {
    const make = () => new OtpClient(options);
    expect(make).toThrow(TypeError);
    expect(make).not.toThrow(/canary/);
  });

  it('accepts a URL with a path and a trailing slash', async () => {
    server.plays(json(200, otp));
    await server.client({ baseUrl: `${server.url}/gateway//` }).get('otp_1');
    expect(server.requests[0]?.path).toBe('/gateway/v1/otps/otp_1');
  });
});

describe('the error of a call', () => {
  it.each(problemCodes)('has the code %s of the gateway’s problem', async (code) => {
    const typed: OtpErrorCode = code;
    const error = await errorOf(problem(code));
    const {
      status,
      detail,
      retryAfterSeconds = null,
    } = {
      retryAfterSeconds: undefined,
      ...problems[typed as typeof code],
    };
    expect(error).toMatchObject({ code, status, detail, retryAfterSeconds, requestId: 'req_1' });
    expect(isOtpError(error, code)).toBe(true);
    expect(isOtpError(error, 'network_error', 'timeout')).toBe(false);
  });

  it('has the errors, the remaining attempts and the detail of the problem', async () => {
    const errors = [{ path: 'to', message: 'is missing' }];
    expect(await errorOf(problem('invalid_request', { errors, detail: 'So not.' }))).toMatchObject({
      errors,
      detail: 'So not.',
    });
    expect(await errorOf(problem('incorrect_code', { members: { attemptsRemaining: 4 } }))).toMatchObject({
      attemptsRemaining: 4,
    });
    const plain = await errorOf(problem('otp_not_found'));
    expect(['errors' in plain, 'attemptsRemaining' in plain, plain.idempotencyKey]).toEqual([
      false,
      false,
      null,
    ]);
  });

  it.each<[string, Script, number]>([
    ['a page', (res) => res.writeHead(200).end('<html>Log in</html>'), 200],
    ['JSON of another server', json(200, { ok: true }), 200],
    ['a list', json(200, []), 200],
    ['nothing', (res) => res.writeHead(204).end(), 204],
    ["a proxy's page", (res) => res.writeHead(502).end('<html>Bad gateway</html>'), 502],
    ["a proxy's problem", json(500, { title: 'Oops' }), 500],
    ['a redirect', (res) => res.writeHead(302, { Location: `${server.url}/elsewhere` }).end(), 302],
  ])('is invalid_answer when %s comes back', async (_what, script, status) => {
    expect(await errorOf(script)).toMatchObject({ code: 'invalid_answer', status });
    expect(server.requests).toHaveLength(1);
  });

  it('is invalid_answer when a verification is answered with anything but a verified OTP', async () => {
    for (const body of [{}, otp, { id: 'otp_1', status: 'verified' }, { verified: true }]) {
      server.plays(json(200, body));
      const error = await failing(server.client().verify('otp_1', '123456'));
      expect(error.code).toBe('invalid_answer');
    }
  });

  it('is network_error when the answer is missing or incomplete', async () => {
    expect(await errorOf(broken)).toMatchObject({ code: 'network_error', status: null });
    const half: Script = (res) => {
      res.writeHead(200, { 'Content-Length': 100 }).write('{');
      setTimeout(() => res.destroy(), 20);
    };
    expect(await errorOf(half)).toMatchObject({ code: 'network_error' });
    const unreachable = new OtpClient({ baseUrl: 'http://127.0.0.1:1', apiKey, retries: 0 });
    expect((await failing(unreachable.get('x'))).detail).toMatch(/ECONNREFUSED|bad port|did not answer/);
  });

  it('is timeout when the answer does not end in time', async () => {
    const begins: Script = (res) => res.writeHead(200).write('{');
    for (const script of [silent, begins]) {
      expect(await errorOf(script, 1_000)).toMatchObject({ code: 'timeout', status: null });
    }
  });

  it('names the idempotency key for a retry', async () => {
    server.plays(broken);
    const error = await failing(server.client({ retries: 0 }).send({ to: '0123456789' }));
    expect(error.idempotencyKey).toBe(server.requests[0]?.headers['idempotency-key']);
    server.plays(silent);
    const own = { idempotencyKey: 'own', timeoutMs: 100 };
    expect((await failing(server.client().send({ to: '1' }, own))).idempotencyKey).toBe('own');
  });

  it('never holds a code, a key or a number', async () => {
    const scripts: Script[] = [broken, silent, json(200, {}), problem('invalid_phone_number')];
    const leaky = server.client({
      retries: 0,
      timeoutMs: 100,
      fetch: async (input) => {
        throw new TypeError(`error sending request for url (${input})`);
      },
    });
    for (const script of scripts) {
      server.plays(script);
      for (const client of [server.client({ retries: 0, timeoutMs: 100 }), leaky]) {
        const errors = [
          await failing(client.verifyByNumber({ to: '+60129876543', code: '271828' })),
          await failing(client.findByReference('+60129876543')),
          await failing(client.send({ to: '+60129876543', message: '271828 %OTP%' })),
        ];
        for (const error of errors) {
          const shown = `${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
          expect(shown).not.toMatch(/271828|9876543|canary/);
        }
      }
    }
  });
});

describe('a call', () => {
  it('rejects with the reason of its signal, and is not retried', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    server.plays(() => controller.abort(reason));
    const call = server.client({ retries: 0 }).get('otp_1', { signal: controller.signal });
    await expect(call).rejects.toBe(reason);
    await expect(server.client().get('otp_1', { signal: controller.signal })).rejects.toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  it('rejects with the reason of its signal between two attempts', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const refusal = problem('queue_unavailable', { headers: { 'Retry-After': '3' } });
    server.plays((res, req) => {
      res.once('close', () => setTimeout(() => controller.abort(reason), 100));
      refusal(res, req);
    });
    await expect(server.client().get('otp_1', { signal: controller.signal })).rejects.toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  it.each(['', '.', '..'])('rejects the id %j, which would change the path', async (id) => {
    server.plays(json(200, otp));
    await expect(server.client().get(id)).rejects.toBeInstanceOf(TypeError);
    await expect(server.client().cancel(id)).rejects.toBeInstanceOf(TypeError);
    expect(server.requests).toHaveLength(0);
  });

  it('encodes an id for its part of the path', async () => {
    server.plays(json(200, otp));
    await server.client().get('../batches/x?y#z');
    expect(server.requests[0]?.path).toBe('/v1/otps/..%2Fbatches%2Fx%3Fy%23z');
  });

  it('rejects a key or a wait that the gateway would reject', async () => {
    const client = server.client();
    await expect(client.send({ to: '1' }, { idempotencyKey: 'two words' })).rejects.toThrow(TypeError);
    for (const waitSeconds of [31, -1, 0.5]) {
      await expect(client.send({ to: '1' }, { waitSeconds })).rejects.toThrow(TypeError);
    }
  });

  it('sends the API key to no other host', async () => {
    server.plays((res) => res.writeHead(307, { Location: `${server.url}/elsewhere` }).end());
    await failing(server.client().send({ to: '1' }));
    expect(server.requests.map(({ path }) => path)).toEqual(['/v1/otps']);
  });
});
