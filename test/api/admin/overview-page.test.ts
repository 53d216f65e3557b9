import type { Page } from 'playwright-core';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { recordStats } from '../../../src/main/shared-state.js';
import { createSendOtpQueue } from '../../../src/queues/send-otp.js';
import { keys } from '../../../src/store/keys.js';
import { startBrowser } from '../../support/browser.js';
import { sentAfter } from '../../support/otps.js';
import { admin, startGateway } from '../gateway.js';

const gateway = await startGateway({ dependencies: { admin: { ...admin, actions: true } } });
const queue = createSendOtpQueue({ connection: gateway.redis, onError: () => {} });
const browser = await startBrowser();
afterAll(() => browser.close());

/** Errors in the browser's console, and requests to other hosts. */
const complaints: string[] = [];
const pages: Page[] = [];
afterEach(async () => {
  for (const page of pages.splice(0)) await page.context().close();
  expect(complaints.splice(0)).toEqual([]);
});

async function open(options: Parameters<typeof browser.newContext>[0] = {}, path = '/admin'): Promise<Page> {
  const context = await browser.newContext({ httpCredentials: admin, locale: 'en-GB', ...options });
  const page = await context.newPage();
  pages.push(page);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith(gateway.url) && !request.url().startsWith('data:'))
      complaints.push(request.url());
  });
  await page.goto(`${gateway.url}${path}`);
  if (path.startsWith('/admin/queues')) return page;
  await page.waitForSelector('#state:not(:text("Loading"))');
  return page;
}

/** A range as the API of the overview has it. */
const range = {
  app: 'shop',
  range: '6012-345xxxx',
  limit: 'blocked',
  until: Date.now() + 3_600_000,
  refused: 7,
  wouldRefuse: 0,
};

/** Has the page show a range; none once the answered array is emptied. */
async function showRanges(page: Page, shown: typeof range, guardEnforces = false): Promise<unknown[]> {
  const ranges = [shown];
  await page.route('**/overview.json*', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ json: { ...(await answer.json()), ranges, guardEnforces } });
  });
  await page.getByText('24 hours').click();
  await page.waitForSelector('#ranges td');
  return ranges;
}

/** Uploads OTPs to so many numbers as a batch of shop; resolves with its id. */
async function upload(body: object = {}, count = 3): Promise<string> {
  const otps = Array.from({ length: count }, (_, n) => ({ to: `013200${String(n).padStart(4, '0')}` }));
  const { json } = await gateway.call('POST', '/v1/otps/bulk', { body: { ...body, otps } });
  return (json as { batchId: string }).batchId;
}
const factsOf = (id: string) => gateway.store.batches.facts(id.slice('batch_'.length));

describe('the allowed and denied numbers', () => {
  it('are shown masked, by list, app and end, and not at all while there are none', async () => {
    const page = await open();
    expect(await page.isVisible('#numbers-title')).toBe(false);
    const entry = { shown: '+6011', digits: '6011', list: 'deny', app: null, until: null } as const;
    const { numberLists } = gateway.store;
    await numberLists.set(entry);
    await numberLists.set({
      ...{ shown: '+60*******789', digits: '601123456789', list: 'allow', app: 'shop' },
      until: Date.now() + 7_200_000,
    });
    await page.getByText('24 hours').click();
    await page.waitForSelector('#numbers td');
    const rows = await page.locator('#numbers tbody tr').allInnerTexts();
    expect(rows).toEqual([
      expect.stringMatching(/^\+6011\s+all\s+denied\s+Nothing is sent to it\.\s+when removed$/),
      expect.stringMatching(/^\+60\*{7}789\s+shop\s+allowed\s.*\s+in 2 h$/s),
    ]);
    await numberLists.remove({ digits: '6011', app: null });
    await numberLists.remove({ digits: '601123456789', app: 'shop' });
  });
});

describe('the overview in a browser', { timeout: 30_000 }, () => {
  it('shows the figures and charts without an error', async () => {
    for (let i = 0; i < 3; i++) {
      const { id, code } = await gateway.sent({ to: `012345682${i}` });
      gateway.metrics.sent(sentAfter(200), 'single');
      if (i < 2) await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    }
    await gateway.store.balance.record({ credits: 812.5, expiresOn: '2030-01-01' });
    await recordStats({ store: gateway.store, sendOtpQueue: queue, metrics: gateway.metrics }).close();
    const page = await open();
    await expect.poll(() => page.textContent('#sent')).toBe('3');
    expect(await page.textContent('#state')).toBe('All is well.');
    expect(await page.textContent('#conversion')).toBe('–');
    expect(await page.textContent('#conversion-more')).toBe('2 verified so far');
    expect(await page.textContent('#credits')).toBe('812.5');
    expect(await page.locator('.chart canvas').count()).toBe(4);
    expect(await page.textContent('#conversion-chart')).toBe('Nothing to show yet.');
    expect(await page.textContent('#balance-chart .u-legend')).toMatch(/latest.*credits.*812\.5$/);
    expect(await page.textContent('#credits-more time')).toMatch(/^now$|ago$/);
    expect(await page.getAttribute('#credits-more time', 'title')).toMatch(/^\d\d\/\d\d\/\d{4}, /);
    expect(await page.getAttribute('#sends-chart', 'aria-label')).toContain('3 sent');
  });

  it('names parts that could not be read, without an error', async () => {
    const page = await open();
    const alarms = [{ level: 'warning', text: 'Could not be read, so missing here: balance.' }];
    const missing = { points: [], balance: null, batches: { shown: [], more: 0 }, apps: [], alarms };
    await page.route('**/overview.json*', async (route) => {
      const weeks = { apps: [], countries: [] };
      const answer = await (await route.fetch()).json();
      await route.fulfill({ json: { ...answer, ...missing, weeks } });
    });
    await page.getByText('24 hours').click();
    await expect.poll(() => page.textContent('#alarms')).toBe(alarms[0]?.text);
    expect(await page.textContent('#sent')).toBe('0');
    expect(await page.textContent('#sends-chart')).toBe('Nothing to show yet.');
    expect(await page.textContent('#credits')).toBe('–');
    expect(await page.isVisible('#weeks')).toBe(false);
  });

  it('can be used with the keyboard alone', async () => {
    const page = await open();
    await gateway.call('POST', '/v1/otps', { body: { to: '0123456830' } });
    const focused = async () => String(await page.evaluate('document.activeElement.outerHTML'));
    const tabTo = async (what: RegExp) => {
      for (let i = 0; i < 12 && !what.test(await focused()); i++) await page.keyboard.press('Tab');
      expect(await focused()).toMatch(what);
    };
    await tabTo(/^<input[^>]*id="query"/);
    await page.keyboard.type('012-345 6830');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#found td');
    const found = (await page.textContent('#found')) ?? '';
    expect(found).toContain('+60******830');
    expect(found).toContain('queued');
    await tabTo(/^<input[^>]*name="hours"/);
    await Promise.all([page.waitForResponse(/hours=24/), page.keyboard.press('ArrowRight')]);
  });

  it('explains a failed OTP, and cancels one after a confirmation', async () => {
    const { id } = await gateway.sent({ to: '0123456831' });
    const { json } = await gateway.call('POST', '/v1/otps', { body: { to: '0190000002' } });
    const failed = (json as { id: string }).id;
    await gateway.send(failed);
    const page = await open({}, `/admin#${failed}`);
    const row = page.locator('#found tbody tr');
    await expect.poll(() => row.textContent()).toContain('iSMS refused the phone number.');
    expect(await row.getByRole('button').count()).toBe(0);
    await page.fill('#query', id);
    await page.keyboard.press('Enter');
    await expect.poll(() => row.textContent()).toContain('Not verified yet.');
    page.once('dialog', (dialog) => dialog.dismiss());
    await row.getByRole('button', { name: `Cancel ${id}` }).click();
    expect((await gateway.store.otps.findOfAnyApp(id))?.status).toBe('sent');
    page.once('dialog', (dialog) => dialog.accept());
    await row.getByRole('button', { name: `Cancel ${id}` }).click();
    await expect.poll(() => row.textContent()).toContain('cancelled');
    expect((await gateway.store.otps.findOfAnyApp(id))?.status).toBe('cancelled');
    expect(await row.getByRole('button').count()).toBe(0);
  });

  it('shows an alarm, and says when its figures are old', async () => {
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
    // Chromium logs the failed request.
    expect(complaints.splice(0)).toEqual([expect.stringContaining('503')]);
  });

  it.each([
    ['a phone', { viewport: { width: 360, height: 740 } }],
    ['a phone at night', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' as const }],
  ])('fits %s without scrolling sideways', async (_name, options) => {
    const { id } = await gateway.sent({ to: '0123456832' });
    const page = await open(options, `/admin#${id}`);
    await upload();
    await upload({ name: 'Appointments'.repeat(5), perSecond: 50 });
    await showRanges(page, { ...range, range: '6012-34567890123xxxx' });
    await page.waitForSelector('#found td');
    await page.waitForSelector('#batches td');
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    for (const cell of await page.locator('td:visible').all()) {
      const box = await cell.boundingBox();
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(360);
    }
  });

  it('says what the guard would do in monitor mode', async () => {
    const page = await open();
    expect(await page.locator('#ranges').isVisible()).toBe(false);
    await showRanges(page, { ...range, wouldRefuse: 12 });
    expect(await page.textContent('#ranges-title')).toMatch(/would limit/);
    const row = page.locator('#ranges tbody tr');
    expect(await row.textContent()).toMatch(/would be blocked.*7would reject 12in \d+ min/);
  });

  it('undoes the limit of a range by a button', async () => {
    const page = await open();
    const shown = await showRanges(page, range, true);
    const row = page.locator('#ranges tbody tr');
    expect(await row.textContent()).toMatch(/6012-345xxxxshopblockedNo OTPs: .*7in \d+ min/);
    const [request] = await Promise.all([
      page.waitForRequest(/\/ranges\/forget$/),
      Promise.resolve(shown.splice(0)).then(() => page.getByRole('button', { name: /^Undo/ }).click()),
    ]);
    expect(request.postDataJSON()).toEqual({ app: 'shop', range: '6012-345xxxx' });
    await expect.poll(() => page.locator('#ranges').isVisible()).toBe(false);
  });

  it('pauses, paces and cancels a batch with the keyboard alone', async () => {
    // No worker runs that would take earlier batches out of the queue of their app.
    await gateway.redis.del(keys.appBatchQueue('shop'));
    const id = await upload({ name: 'Friday' }, 5);
    const page = await open();
    const row = page.locator('#batches tr', { hasText: 'Friday' });
    await expect.poll(() => row.textContent()).toMatch(/shop, uploaded now0%5 of 5 OTPs waitsending/);
    const focused = () => page.evaluate('document.activeElement.textContent');
    await row.getByRole('link').focus();
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Pause');
    await page.keyboard.press('Enter');
    await expect.poll(() => row.textContent()).toContain('paused');
    expect(await factsOf(id)).toMatchObject({ paused: true });
    await expect.poll(() => row.locator('[aria-disabled]').count()).toBe(0);
    expect(await focused()).toBe('Resume');
    await page.keyboard.press('Enter');
    await expect.poll(() => row.textContent()).toContain('sending');
    await page.keyboard.press('Tab');
    for (const [text, perSecond] of [
      ['50', 50],
      ['', null],
    ] as const) {
      page.once('dialog', (dialog) => dialog.accept(text));
      await page.keyboard.press('Enter');
      await expect.poll(() => factsOf(id)).toMatchObject({ perSecond });
      await expect.poll(() => row.locator('[aria-disabled]').count()).toBe(0);
      expect(await focused()).toBe('Limit rate');
    }
    await page.keyboard.press('Tab');
    page.once('dialog', (dialog) => dialog.dismiss());
    await page.keyboard.press('Enter');
    page.once('dialog', (dialog) => dialog.accept());
    await page.keyboard.press('Enter');
    await expect.poll(() => factsOf(id)).toMatchObject({ cancelledAt: expect.any(Number) });
    await expect.poll(() => row.getByRole('button').count()).toBe(0);
  });

  it('says what a batch waits for, before what the batch itself tells', async () => {
    const id = await upload({ name: 'Behind' });
    const order = -Number.MAX_SAFE_INTEGER;
    const note = { batch: id.slice('batch_'.length), app: 'shop', waiting: 3, order };
    await gateway.store.waitingLines.note({ ...note, inFlight: 0, waitsFor: 'earlier_batch' });
    const page = await open();
    const row = page.locator('#batches tr', { hasText: 'Behind' });
    await expect.poll(() => row.textContent()).toMatch(/waitingAn earlier batch goes first\./);
    await gateway.store.sendingPause.report({ trouble: 'account_suspended', claimedAt: Date.now() + 1_000 });
    await page.reload();
    await expect.poll(() => row.textContent()).toMatch(/waitingSending is paused\./);
    await gateway.store.sendingPause.resume();
  });

  it('says why a rate is rejected', async () => {
    const id = await upload({ name: 'Friday' });
    const page = await open();
    const row = page.locator('#batches tr', { hasText: 'Friday' }).last();
    page.once('dialog', (dialog) => dialog.accept('fast'));
    await row.getByRole('button', { name: 'Limit rate: Friday of shop' }).click();
    await expect.poll(() => row.textContent()).toMatch(/perSecond/);
    expect(await factsOf(id)).toMatchObject({ perSecond: null });
    // Chromium logs the refused request.
    expect(complaints.splice(0)).toEqual([expect.stringContaining('400')]);
  });

  it.each([
    ['send', 'otp-send', async () => (await gateway.sent({ to: '0123456833' })).id],
    ['batch', 'otp-batch', () => upload()],
  ])('is linked from Bull Board, from its menu and from each %s job', async (_name, queueName, add) => {
    const id = await add();
    const page = await open({}, `/admin/queues/queue/${queueName}`);
    const [overview] = await Promise.all([
      page.context().waitForEvent('page'),
      page.locator(`a[href="/admin#${id}"]`).click(),
    ]);
    await expect.poll(() => overview.textContent('#found')).toContain(id);
    expect(await page.getByText('Waiting Children').count()).toBe(0);
    await page.locator('header li').last().getByRole('button').click();
    expect(await page.getByText('Overview', { exact: true }).getAttribute('href')).toBe('/admin');
  });

  it('compares apps and countries with the week before', async () => {
    const page = await open();
    await page.route('**/overview.json*', async (route) => {
      const answer = await (await route.fetch()).json();
      const shop = {
        name: 'shop',
        last: { sent: 1_200, verified: 900 },
        before: { sent: 1_000, verified: 850 },
      };
      const bank = { name: 'bank', last: { sent: 7, verified: 0 }, before: { sent: 0, verified: 0 } };
      const weeks = { apps: [shop, bank], countries: [{ ...shop, name: 'MY' }] };
      await route.fulfill({ json: { ...answer, weeks } });
    });
    await page.getByText('24 hours').click();
    const rows = page.locator('#weeks tbody tr');
    await expect.poll(() => rows.count()).toBe(3);
    expect(await rows.nth(0).textContent()).toMatch(/shop.*1,200.*before: 1,000 \(\+20%\).*75%.*before: 85%/);
    expect(await rows.nth(1).textContent()).toMatch(/bank.*7.*before: none.*0%.*before: –/);
    expect(await rows.nth(2).textContent()).toMatch(/Malaysia \(MY\)/);
  });

  it('is small', async () => {
    const page = await open();
    const sizes =
      "['resource', 'navigation'].flatMap((kind) => performance.getEntriesByType(kind)).map((entry) => entry.transferSize)";
    const bytes = ((await page.evaluate(sizes)) as number[]).reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeLessThan(150_000);
  });

  it('shows the apps, and pauses and resumes one after a confirmation, by keyboard alone', async () => {
    const used = [
      { app: 'shop', period: 'day', used: 1_700, limit: 2_000, endsAt: Date.now() + 3_600_000 },
      { app: 'shop', period: 'month', used: 40_000, limit: 40_000, endsAt: Date.now() + 86_400_000 },
    ];
    const page = await open();
    await page.route('**/overview.json*', async (route) => {
      const answer = await (await route.fetch()).json();
      const apps = answer.apps.map((one: { app: string }) => ({
        ...one,
        budgets: one.app === 'shop' ? used : [],
      }));
      await route.fulfill({ json: { ...answer, apps } });
    });
    await page.getByText('24 hours').click();
    const row = page.locator('#apps tbody tr', { hasText: 'shop' });
    await expect.poll(() => row.textContent()).toContain('1,700 of 2,000');
    expect(await row.textContent()).toMatch(/85%.*100%.*40,000 of 40,000/);
    page.on('dialog', (dialog) => void dialog.accept());
    await row.getByRole('button', { name: 'Pause shop' }).focus();
    await page.keyboard.press('Enter');
    await expect.poll(() => row.textContent()).toContain('paused');
    expect(await gateway.store.appPauses.isPaused('shop')).toBe(true);
    const focused = () => page.evaluate("document.activeElement.getAttribute('aria-label')");
    expect(await focused()).toBe('Resume shop');
    await page.keyboard.press('Enter');
    await expect.poll(() => row.textContent()).toContain('sending');
    expect(await gateway.store.appPauses.isPaused('shop')).toBe(false);
  });
});
