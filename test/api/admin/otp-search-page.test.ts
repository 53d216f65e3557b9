import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startBrowser } from '../../support/browser.js';
import { admitted, claimed, number, rejected, sent, unsent } from '../../support/otps.js';
import { admin, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { store } = gateway;
const browser = await startBrowser();
afterAll(() => browser.close());
beforeEach(() => gateway.redis.flushdb());

describe('the search of OTPs in a browser', { timeout: 30_000 }, () => {
  const complaints: string[] = [];
  const pages: Page[] = [];
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
    expect(complaints.splice(0)).toEqual([]);
  });
  const open = async (width: number, path = '/admin') => {
    const viewport = { width, height: 900 };
    const context = await browser.newContext({ httpCredentials: admin, locale: 'en-GB', viewport });
    const page = await context.newPage();
    pages.push(page);
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await page.goto(`${gateway.url}${path}`);
    return page;
  };
  const widthOf = (page: Page) => page.evaluate('document.documentElement.scrollWidth');

  it.each([1280, 390])(
    'lists an app by status, goes on to older OTPs and to the page of one, at %d px',
    async (width) => {
      for (let i = 0; i < 55; i++) await sent(store, { to: number(`01234${70_000 + i}`), purpose: 'login' });
      const id = await admitted(store);
      await store.sendAttempts.settle(await claimed(store, id), unsent);
      await store.sendAttempts.settle(await claimed(store, id), rejected);
      const page = await open(width);
      await page.getByText('App, status, time').click();
      await page.selectOption('select[name="app"]', 'shop');
      await page.selectOption('select[name="status"]', 'sent');
      await page.getByRole('button', { name: 'Find' }).click();
      const rows = page.locator('#found tbody tr');
      await expect.poll(() => rows.count()).toBe(50);
      await page.getByRole('button', { name: 'Show older OTPs' }).click();
      await expect.poll(() => rows.count()).toBe(55);
      expect(await page.getByRole('button', { name: 'Show older OTPs' }).count()).toBe(0);
      await page.selectOption('select[name="status"]', 'failed');
      await page.getByRole('button', { name: 'Find' }).click();
      await expect.poll(() => rows.count()).toBe(1);
      expect(await widthOf(page)).toBeLessThanOrEqual(width);
      await page.fill('input[name="since"]', '2099-01-01T00:00');
      await page.getByRole('button', { name: 'Find' }).click();
      await expect.poll(() => page.textContent('#found')).toContain('Nothing found.');
      await page.fill('input[name="since"]', '2020-01-01T00:00');
      await page.getByRole('button', { name: 'Find' }).click();
      await page.locator('#found a').click();
      await page.waitForSelector('#history-title');
      expect(page.url()).toBe(`${gateway.url}/admin/otps/${id}`);
      expect(await page.locator('tbody tr').count()).toBe(4);
      expect(await widthOf(page)).toBeLessThanOrEqual(width);
    },
  );

  it('shows the newer search where the answer to an older one comes later', async () => {
    const id = await admitted(store, { reference: 'newer' });
    const page = await open(1280);
    let answerOlder = () => {};
    await page.route('**/admin/otps', async (route) => {
      if (route.request().postData()?.includes('older')) {
        await new Promise<void>((resolve) => {
          answerOlder = resolve;
        });
      }
      await route.continue();
    });
    const find = async (query: string) => {
      await page.fill('input[name="query"]', query);
      await page.getByRole('button', { name: 'Find' }).click();
    };
    const older = page.waitForResponse((answer) => !!answer.request().postData()?.includes('older'));
    await find('older');
    await find('newer');
    await expect.poll(() => page.textContent('#found')).toContain(id);
    answerOlder();
    await (await older).finished();
    // What the page does with the answer is done before the next frame.
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))');
    expect(await page.textContent('#found')).toContain(id);
  });

  it('says that an app is needed to list OTPs', async () => {
    const page = await open(1280);
    await page.getByRole('button', { name: 'Find' }).click();
    await expect.poll(() => page.textContent('#found')).toContain('`app` is required');
    // Chromium logs the refused request.
    expect(complaints.splice(0)).toEqual([expect.stringContaining('400')]);
  });
});
