import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startBrowser } from '../../support/browser.js';
import { shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
const browser = await startBrowser();
afterAll(async () => await browser.close());

/** The API reference in a window of this width, with what went wrong in it and every URL that it asked for. */
async function openReference(width: number) {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  const errors: string[] = [];
  const urls: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('request', (request) => urls.push(request.url()));
  await page.goto(`${gateway.url}/docs`);
  await page.getByText('Send an OTP', { exact: true }).first().waitFor();
  return { page, errors, urls };
}

describe.each([1280, 390])('the API reference, %d px wide', (width) => {
  it('sends a request with the API key, breaks no rule of its policy, and asks no other host', async () => {
    const { page, errors, urls } = await openReference(width);
    await page.getByRole('button', { name: 'Authorize' }).first().click();
    await page.getByRole('textbox').first().fill(shopKey);
    await page
      .locator('.auth-btn-wrapper')
      .getByRole('button', { name: /authorize|apply/i })
      .first()
      .click();
    await page.getByRole('button', { name: 'Close' }).first().click();
    await page.locator('#operations-OTPs-createOtp .opblock-summary-control').click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    await page.getByRole('button', { name: 'Execute' }).click();
    const live = page.locator('.live-responses-table').first();
    await live.waitFor();
    expect(await live.textContent()).toContain('202');
    const found = await gateway.call('GET', '/v1/otps?reference=signup-4711');
    const [newest] = z.object({ otps: z.array(z.object({ id: z.string() })) }).parse(found.json).otps;
    expect(await live.textContent()).toContain(newest?.id);
    expect(errors).toEqual([]);
    expect(urls.filter((url) => !url.startsWith(gateway.url) && !url.startsWith('data:'))).toEqual([]);
    await page.close();
  });
});
