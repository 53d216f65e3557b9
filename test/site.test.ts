import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { extname } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startBrowser } from './support/browser.js';
import { freePort } from './support/redis-server.js';

const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

/** Serves the built site. */
const server: Server = createServer(async (req, res) => {
  const path = (req.url ?? '').replace(/\/$/, '/index.html').replace(/[?#].*/, '');
  const file = await readFile(`site/dist${path}`).catch(() => null);
  res.writeHead(file ? 200 : 404, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream' });
  res.end(file);
});

describe('npm run docs:site', () => {
  let browser: Browser;
  let url = '';
  beforeAll(async () => {
    await promisify(execFile)('npm', ['run', 'docs:site']);
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${port}`;
    browser = await startBrowser();
  }, 240_000);
  afterAll(async () => {
    await browser?.close();
    server.close();
    server.closeAllConnections();
  });

  /** A page of the site; `trouble` collects errors and requests to other hosts. */
  async function open(path: string): Promise<{ page: Page; trouble: string[] }> {
    const page = await browser.newPage();
    const trouble: string[] = [];
    page.on('pageerror', (error) => trouble.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
    page.on('request', (request) => {
      if (!/^data:/.test(request.url()) && !request.url().startsWith(`${url}/`)) trouble.push(request.url());
    });
    await page.goto(url + path);
    return { page, trouble };
  }

  it('builds a site whose search finds a heading and leads to it, and which calls no other host', async () => {
    const { page, trouble } = await open('/');
    // The page answers keys once its script runs.
    const searchBox = page.locator('#localsearch-input');
    const opened = async () => {
      if (!(await searchBox.isVisible())) await page.keyboard.press('Control+k');
      return await searchBox.isVisible();
    };
    await expect.poll(opened).toBe(true);
    await searchBox.fill('failure numbers');
    await page.locator('#localsearch-list a').first().click();
    await page.waitForURL(`${url}/docs/simulator.html#failure-numbers`);
    // The address changes before the page does.
    await expect.poll(() => page.locator('.VPDoc h1').textContent()).toContain('iSMS simulator');
    expect(trouble).toEqual([]);
  });

  it('lists the pages of docs/README.md in the sidebar, and each of them opens', async () => {
    const { page } = await open('/docs/');
    const links = await page
      .locator('.VPSidebar a')
      .evaluateAll((all) => all.map((link) => link.getAttribute('href') ?? ''));
    expect(links.length).toBeGreaterThan(20);
    const answers = await Promise.all(links.map((link) => fetch(url + link)));
    expect(answers.filter((answer) => !answer.ok)).toEqual([]);
  });

  it('writes llms.txt, whose links lead to the Markdown of the pages', async () => {
    const text = await (await fetch(`${url}/llms.txt`)).text();
    const links = [...text.matchAll(/^- \[[^\]]+\]\(([^)]+)\)$/gm)].map(([, link]) => link ?? '');
    expect(links.length).toBeGreaterThan(20);
    for (const link of links) {
      expect(await (await fetch(`${url}/${link}`)).text()).toBe(await readFile(link, 'utf8'));
    }
  });
});
