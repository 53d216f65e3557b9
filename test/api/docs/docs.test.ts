import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { problemCodes } from '../../../src/api/http/problems.js';
import { startGateway } from '../gateway.js';

const gateway = await startGateway();
const page = await gateway.call('GET', '/docs', { key: null });

describe('the documentation page', () => {
  it('loads nothing, and runs only the one script that its policy names', () => {
    expect(page.status).toBe(200);
    expect(page.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('Content-Security-Policy')).toMatch(/default-src 'none'/);
    const scripts = [...page.text.matchAll(/<script>(.*?)<\/script>/gs)].map(([, script = '']) => script);
    expect(scripts).toHaveLength(1);
    const digest = createHash('sha256')
      .update(scripts[0] ?? '')
      .digest('base64');
    expect(page.headers.get('Content-Security-Policy')).toContain(`script-src 'sha256-${digest}'`);
    expect(/<script [^>]|\son\w+="|\sstyle="|(?:href|src)="(?:https?:)?\/\//.exec(page.text)).toBeNull();
  });

  it('has an entry for every problem type', () => {
    for (const code of problemCodes) expect([code, page.text.includes(`id="${code}"`)]).toEqual([code, true]);
  });

  it('has no broken link', () => {
    const targets = [...page.text.matchAll(/href="#([^"]+)"/g)].map(([, target]) => target);
    expect(targets.length).toBeGreaterThan(20);
    for (const target of targets)
      expect([target, page.text.includes(`id="${target}"`)]).toEqual([target, true]);
  });

  it('shows every operation with an example call', async () => {
    const { json } = await gateway.call('GET', '/openapi.json');
    for (const path of Object.keys((json as { paths: object }).paths)) {
      expect([
        path,
        page.text.includes(
          gateway.url + path.replace('{id}', path.includes('/batches/') ? '$BATCH_ID' : '$OTP_ID'),
        ),
      ]).toEqual([path, true]);
    }
  });

  it('closes every element', () => {
    for (const tag of [
      'table',
      'tr',
      'td',
      'section',
      'article',
      'code',
      'pre',
      'ul',
      'li',
      'main',
      'html',
    ]) {
      const opened = page.text.match(new RegExp(`<${tag}[ >]`, 'g'))?.length;
      expect([tag, opened]).toEqual([tag, page.text.match(new RegExp(`</${tag}>`, 'g'))?.length]);
    }
  });
});
