import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { startGateway } from '../gateway.js';

const development = { apiKey: 'made-for-development', inboxUrl: 'http://127.0.0.1:3001' };
const gateway = await startGateway({ dependencies: { development } });
const production = await startGateway({ dependencies: { admin: null } });

/** The start page as asked for under this name. */
async function pageFor(host: string, headers: Record<string, string> = {}): Promise<string> {
  return await new Promise((resolve, reject) => {
    const req = request(gateway.url, { headers: { ...headers, Host: host } }, async (res) => {
      const chunks = await res.setEncoding('utf8').toArray();
      resolve(chunks.join(''));
    });
    req.on('error', reject).end();
  });
}

describe('the start page', () => {
  it('links only to pages that answer, and shows this host’s URL', async () => {
    const { status, headers, text } = await production.call('GET', '/', { key: null });
    expect(status).toBe(200);
    expect(headers.get('Content-Security-Policy')).toMatch(/^default-src 'none'/);
    const links = [...text.matchAll(/href="(\/[^"]*)"/g)].map(([, link = '']) => link);
    expect(links).toEqual(['/docs', '/openapi.json', '/docs/errors', '/livez', '/readyz']);
    for (const link of links) expect((await production.call('GET', link, { key: null })).status).toBe(200);
    expect(text).toContain(`curl ${production.url}/v1/otps`);
  });

  it('links to the admin pages if they are on', async () => {
    expect((await gateway.call('GET', '/', { key: null })).text).toContain('href="/admin"');
  });

  it('shows the development key only to a local client that asks by a loopback name', async () => {
    const { port } = new URL(gateway.url);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`]) {
      expect(await pageFor(host)).toContain(development.apiKey);
    }
    const rebound = await pageFor(`rebound.example:${port}`);
    expect(rebound).not.toContain(development.apiKey);
    expect(rebound).toContain('rebound.example');
  });

  it.each(['Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Real-IP', 'Via'])(
    'shows it to no client of a proxy on this machine that sends %s',
    async (name) => {
      const { host } = new URL(gateway.url);
      expect(await pageFor(host, { [name]: '203.0.113.9' })).not.toContain(development.apiKey);
    },
  );

  it('shows no key in production', async () => {
    const { text } = await production.call('GET', '/', { key: null });
    expect(text).toContain('$API_KEY');
    expect(text).not.toContain('API key</td>');
  });

  it('escapes the Host header', async () => {
    expect(await pageFor('"><script>')).not.toContain('"><script>');
  });
});
