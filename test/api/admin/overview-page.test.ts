import type { Page } from 'playwright-core';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { recordStats } from '../../../src/main/stats-recorder.js';
import { createSendOtpQueue } from '../../../src/queues/send-otp.js';
import { startBrowser } from '../../support/browser.js';
import { admin, startGateway } from '../gateway.js';

const gateway = await startGateway({ dependencies: { admin: { ...admin, actions: true } } });
const queue = createSendOtpQueue({ connection: gateway.redis, onError: () => {} });
const browser = await startBrowser();
afterAll(() => browser.close());

/** What the browser complained of, and what was asked of other hosts. */
const complaints: string[] = [];
const pages: Page[] = [];
afterEach(async () => {
  for (const page of pages.splice(0)) await page.context().close();
  expect(complaints.splice(0)).toEqual([]);
});

async function open(options: Parameters<typeof browser.newContext>[0] = {}): Promise<Page> {
  const context = await browser.newContext({ httpCredentials: admin, locale: 'en-GB', ...options });
  const page = await context.newPage();
  pages.push(page);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith(gateway.url) && !request.url().startsWith('data:'))
      complaints.push(request.url());
  });
  await page.goto(`${gateway.url}/admin`);
  await page.waitForSelector('#state:not(:text("Loading"))');
  return page;
}

describe('the overview in a browser', { timeout: 30_000 }, () => {
  it('shows the figures, draws them, and complains of nothing', async () => {
    for (let i = 0; i < 3; i++) {
      const { id, code } = await gateway.sent({ to: `012345682${i}` });
      gateway.metrics.sent({ app: 'shop', country: 'MY', lane: 'single', waitedSeconds: 0.2 });
      if (i < 2) await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    }
    await gateway.store.balance.record({ credits: 812.5, expiresOn: '2030-01-01' });
    await recordStats({ store: gateway.store, queue, tally: gateway.metrics.tally }).close();
    const page = await open();
    await expect.poll(() => page.textContent('#sent')).toBe('3');
    expect(await page.textContent('#state')).toBe('All is well.');
    expect(await page.textContent('#conversion')).toBe('67%');
    expect(await page.textContent('#credits')).toBe('812.5');
    expect(await page.locator('.chart canvas').count()).toBe(5);
    expect(await page.getAttribute('#sends-chart', 'aria-label')).toContain('3 sent');
  });

  it('can be used with the keyboard alone', async () => {
    const page = await open();
    await gateway.call('POST', '/v1/otps', { body: { to: '0123456830' } });
    const focused = async () => String(await page.evaluate('document.activeElement.outerHTML'));
    const tabTo = async (what: RegExp) => {
      for (let i = 0; i < 12 && !what.test(await focused()); i++) await page.keyboard.press('Tab');
      expect(await focused()).toMatch(what);
    };
    await tabTo(/^<input[^>]*name="hours"/);
    await Promise.all([page.waitForResponse(/hours=24/), page.keyboard.press('ArrowRight')]);
    await tabTo(/^<input[^>]*id="query"/);
    await page.keyboard.type('012-345 6830');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#found td');
    const found = (await page.textContent('#found')) ?? '';
    expect(found).toContain('+60******830');
    expect(found).toContain('queued');
  });

  it('says in words what is wrong, and that its figures are old when they are', async () => {
    const page = await open();
    const claimedAt = Date.now() + 1_000;
    await gateway.store.sendingPause.report({ trouble: 'account_suspended', claimedAt });
    await page.reload();
    await page.waitForSelector('#alarms .critical');
    expect(await page.textContent('#alarms')).toContain('iSMS has suspended the account');
    expect(await page.title()).toMatch(/^\(1\)/);
    await gateway.store.sendingPause.resume();
    await page.route('**/overview.json*', (route) =>
      route.fulfill({
        status: 503,
        contentType: 'application/problem+json',
        body: '{"detail":"Redis did not answer."}',
      }),
    );
    await page.getByText('7 days').click();
    await page.waitForSelector('#state.bad');
    await expect.poll(() => page.textContent('#state')).toBe('These figures are old: Redis did not answer.');
    // The browser itself names what it could not load.
    expect(complaints.splice(0)).toEqual([expect.stringContaining('503')]);
  });

  it.each([
    ['a phone', { viewport: { width: 360, height: 740 } }],
    ['a phone at night', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' as const }],
  ])('fits %s without scrolling sideways', async (_name, options) => {
    const page = await open(options);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
  });

  it('undoes a block by a button', async () => {
    const range = {
      app: 'shop',
      range: '6012-345xxxx',
      slowUntil: 0,
      blockedUntil: Date.now() + 3_600_000,
      cappedUntil: 0,
      refused: 7,
      wouldRefuse: 12,
    };
    const page = await open();
    let forgotten = false;
    await page.route('**/overview.json*', async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ json: { ...(await answer.json()), ranges: forgotten ? [] : [range] } });
    });
    page.on('request', (request) => {
      if (request.url().endsWith('/ranges/forget'))
        forgotten = request.postData() === '{"app":"shop","range":"6012-345xxxx"}';
    });
    await page.getByText('24 hours').click();
    const row = page.locator('#ranges tbody tr');
    expect(await row.textContent()).toMatch(/would be: blocked until .*7, would refuse 12/);
    await page.getByRole('button', { name: /^Undo/ }).click();
    await expect.poll(() => page.textContent('#ranges')).toBe('None.');
    expect(forgotten).toBe(true);
  });

  it('is small', async () => {
    const page = await open();
    const sizes =
      "['resource', 'navigation'].flatMap((kind) => performance.getEntriesByType(kind)).map((entry) => entry.transferSize)";
    const bytes = ((await page.evaluate(sizes)) as number[]).reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeLessThan(150_000);
  });
});
