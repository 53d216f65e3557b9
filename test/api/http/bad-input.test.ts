import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { expectProblem, shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
const to = '0123456789';

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  gateway.call('POST', '/v1/otps', { body, headers });

/** A status for a request that fetch would not send. */
async function raw(path: string, headers: Record<string, string>, chunks: string[]): Promise<number> {
  return await new Promise((resolve, reject) => {
    const all = { Authorization: `Bearer ${shopKey}`, 'Content-Type': 'application/json', ...headers };
    const req = request(`${gateway.url}${path}`, { method: 'POST', headers: all, agent: false });
    req.on('response', (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    req.on('error', reject);
    for (const chunk of chunks) req.write(chunk);
    req.end();
  });
}

describe('the API answers 400 to bad input:', () => {
  it.each([
    '{',
    '{"to":"0123456789"',
    '{"to":"0123456789"}x',
    "{'to': 1}",
    'to=0123456789',
    '"text"',
    '[]',
    'null',
    '1',
    `${'['.repeat(8_000)}${']'.repeat(8_000)}`,
    '{"to":"0123456789","__proto__":{"app":"bank"}}',
    '{"to":"0123456789","constructor":{"prototype":{"app":"bank"}}}',
  ])('answers the body %s', async (body) => {
    expectProblem(await post(body), 400, 'invalid_request');
    expect({}).not.toHaveProperty('app');
  });

  it('a missing body', async () => {
    expectProblem(await gateway.call('POST', '/v1/otps'), 400, 'invalid_request');
    expectProblem(await post(''), 400, 'invalid_request');
  });

  it('broken UTF-8, instead of replacing it', async () => {
    const broken = Buffer.concat([Buffer.from('{"to":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
    expectProblem(await post(new Uint8Array(broken)), 400, 'invalid_request');
  });

  it('a path that is not percent-encoded properly', async () => {
    expectProblem(await gateway.call('GET', '/v1/otps/%zz'), 400, 'invalid_request');
    expectProblem(await gateway.call('GET', '/v1/otps/%ff'), 400, 'invalid_request');
  });

  it('more than 20 errors, of which it names 20', async () => {
    const body = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`x${n}`, 1]));
    const { json } = await gateway.call('POST', '/v1/otps', { body });
    expect((json as { errors: unknown[] }).errors).toHaveLength(20);
  });
});

describe('the API answers 404', () => {
  it.each(['/v1', '/v1/', '/v1/otp', '/v1/otps/', '/v1/otps/a/b', '/V1/otps', '/livez/x', '/favicon.ico'])(
    'answers %s',
    async (path) => expectProblem(await gateway.call('GET', path), 404, 'not_found'),
  );
});

describe('the API answers 405', () => {
  it.each([
    ['PUT', '/v1/otps', 'GET, HEAD, POST'],
    ['OPTIONS', '/v1/otps', 'GET, HEAD, POST'],
    ['POST', '/v1/otps/x', 'DELETE, GET, HEAD'],
    ['GET', '/v1/otps/x/verify', 'POST'],
    ['DELETE', '/v1/balance', 'GET, HEAD'],
    ['POST', '/livez', 'GET, HEAD'],
  ])('answers %s %s and says what is allowed', async (method, path, allow) => {
    const reply = await gateway.call(method, path);
    expectProblem(reply, 405, 'method_not_allowed');
    expect(reply.headers.get('Allow')).toBe(allow);
  });
});

describe('the API answers 413', () => {
  const padded = (size: number) => JSON.stringify({ to, x: ' '.repeat(size) }).replace(/ /g, 'x');

  it('to more than 16 KiB, with and without Content-Length', async () => {
    expectProblem(await post(padded(16_384)), 413, 'body_too_large');
    expect(await raw('/v1/otps', { 'Transfer-Encoding': 'chunked' }, [padded(10_000), padded(10_000)])).toBe(
      413,
    );
  });

  it('but not to exactly 16 KiB', async () => {
    const empty = JSON.stringify({ to, message: '' }).length;
    const reply = await gateway.call('POST', '/v1/otps', {
      body: { to, message: 'x'.repeat(16_384 - empty) },
    });
    expectProblem(reply, 400, 'invalid_request');
  });

  it('before such a body has arrived', async () => {
    const status = new Promise((resolve, reject) => {
      const headers = {
        Authorization: `Bearer ${shopKey}`,
        'Content-Type': 'application/json',
        'Content-Length': '10000000',
      };
      const req = request(`${gateway.url}/v1/otps`, { method: 'POST', headers, agent: false });
      req.on('response', (res) => {
        resolve(res.statusCode);
        req.destroy();
      });
      req.on('error', reject);
      req.write('{');
    });
    expect(await status).toBe(413);
  });
});

describe('the API answers 415', () => {
  const body = JSON.stringify({ to });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=utf-16',
    'application/x-ndjson',
    '',
  ])('answers the content type "%s"', async (type) => {
    const reply = await post(body, { 'Content-Type': type });
    expectProblem(reply, 415, 'unsupported_media_type');
  });

  it('to a compressed body', async () => {
    const reply = await post(new Uint8Array(gzipSync(body)), { 'Content-Encoding': 'gzip' });
    expectProblem(reply, 415, 'unsupported_media_type');
  });

  it.each(['application/json;charset=UTF-8', 'Application/JSON', 'application/json; charset="utf-8"'])(
    'does not answer the content type "%s"',
    async (type) => expect((await post(body, { 'Content-Type': type })).status).toBe(202),
  );
});
