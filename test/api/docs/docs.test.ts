import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { problemCodes } from '../../../src/api/http/problems.js';
import { startGateway } from '../gateway.js';

const gateway = await startGateway();
const get = (path: string) => gateway.call('GET', path, { key: null });

describe('the API reference', () => {
  it('loads its own files alone, under a policy without inline styles, eval or other hosts', async () => {
    const { status, headers, text } = await get('/docs');
    expect(status).toBe(200);
    expect(headers.get('Content-Type')).toBe('text/html; charset=utf-8');
    const policy = headers.get('Content-Security-Policy') ?? '';
    expect(policy).toMatch(/^default-src 'none'; .*frame-ancestors 'none'/);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const files = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file);
    expect(files).toEqual(['data:,', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js']);
    for (const file of files.slice(1)) {
      const served = await get(file);
      expect([file, served.status, served.headers.get('Cache-Control')]).toEqual([
        ...[file, 200, 'public, max-age=0'],
      ]);
      expect(served.headers.get('Last-Modified')).not.toBeNull();
    }
  });

  it.each([
    ['Range', 'bytes=99999999-'],
    ['If-Match', '"x"'],
    ['If-Unmodified-Since', 'Wed, 21 Oct 2001 07:28:00 GMT'],
  ])('refuses a file whose %s is not met', async (name, value) => {
    const file = await gateway.call('GET', '/docs/swagger-ui.css', { key: null, headers: { [name]: value } });
    expect([file.status, file.json]).toEqual([400, expect.objectContaining({ code: 'invalid_request' })]);
  });

  it('serves no other file of Swagger UI', async () => {
    for (const file of ['index.html', 'swagger-ui-bundle.js.map', '..%2f..%2fpackage.json'])
      expect((await get(`/docs/${file}`)).status).toBe(404);
  });
});

/** The problem `type` that a gateway behind a proxy answers with. */
async function typeBehindProxy(trustedProxies: string[]): Promise<unknown> {
  const { url } = await startGateway({ dependencies: { trustedProxies } });
  return await new Promise((resolve, reject) => {
    const headers = { Host: 'otp.example', 'X-Forwarded-Proto': 'https' };
    const req = request(`${url}/v1/otps/x`, { headers }, async (res) => {
      const chunks = await res.setEncoding('utf8').toArray();
      resolve(JSON.parse(chunks.join('')).type);
    });
    req.on('error', reject).end();
  });
}

describe('the page of errors', () => {
  it('has a row for every problem code, and loads nothing', async () => {
    const { status, headers, text } = await get('/docs/errors');
    expect(status).toBe(200);
    expect(headers.get('Content-Security-Policy')).not.toMatch(/script-src|unsafe/);
    for (const code of problemCodes) expect([code, text.includes(`id="${code}"`)]).toEqual([code, true]);
    expect(/<script|<link rel="stylesheet"|\sstyle="/.exec(text)).toBeNull();
  });

  it('is where the absolute type of every problem leads', async () => {
    const missing = await gateway.call('GET', '/v1/otps/otp_unknown');
    const { type } = missing.json as { type: string };
    const url = new URL(type);
    expect(url.origin).toBe(gateway.url);
    expect(await (await fetch(url)).text()).toContain(`id="${url.hash.slice(1)}"`);
    // Through Express.
    const unknown = await fetch(`${gateway.url}/nothing`);
    expect(await unknown.json()).toMatchObject({ type: `${gateway.url}/docs/errors#not_found` });
  });

  it('is named by the host that the client asked, with https only if a trusted proxy says so', async () => {
    const path = '//otp.example/docs/errors#unauthorized';
    expect(await typeBehindProxy(['127.0.0.1'])).toBe(`https:${path}`);
    expect(await typeBehindProxy([])).toBe(`http:${path}`);
  });
});
