import { afterAll, expect, it } from 'vitest';
import { startBrowser } from '../../../test/support/browser.js';
import { startClient } from './client.js';

const browser = await startBrowser();
afterAll(() => browser.close());

it('the inbox page shows a new SMS without a reload, copies its code, and saves a setting', async () => {
  const { ask, simulator } = await startClient();
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  await page.goto(simulator.url);
  await page.fill('#refusal', 'half a te');

  const { code = '' } = await ask();
  const button = page.getByRole('button', { name: `Copy ${code}` });
  await button.click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(code);
  // The refresh left what was being typed.
  expect(await page.inputValue('#refusal')).toBe('half a te');

  await page.fill('#refusal', 'Sistem tergendala');
  await page.press('#refusal', 'Enter');
  await page.waitForURL(/#settings$/);
  expect(simulator.state.settings.refusal).toBe('Sistem tergendala');
  expect(errors).toEqual([]);
  await context.close();
});
