import { describe, expect, it } from 'vitest';
import { behaviours } from '../src/behaviours.js';
import { startClient } from './client.js';

describe('the inbox page', () => {
  it('shows number, sender, text with the code, credits, balance and expiry', async () => {
    const { ask, fetch } = await startClient({ settings: { credits: 82, expiresOn: '2099-04-29' } });
    const { code } = await ask({ sendid: 'MyApp' });
    const { text } = await fetch('/');
    for (const part of [
      '+60123456789',
      'MyApp',
      `RM0.00 Your code is <strong>${code}</strong>`,
      '1 credit,',
      '81.0',
      '29 Apr 2099',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('shows every number that fails on purpose, and a form for every setting', async () => {
    const { fetch, simulator } = await startClient();
    const { text } = await fetch('/');
    for (const { number } of behaviours) expect(text).toContain(number);
    for (const name of Object.keys(simulator.state.settings)) expect(text).toContain(`name="${name}"`);
  });

  it('lets nothing from a message or an address become markup', async () => {
    const { ask, fetch } = await startClient();
    await ask({ message: '<script>alert("%OTP%")</script>', un: '<b>' });
    const { text } = await fetch('/?mobile=%22%3E%3Cscript%3E');
    expect(text + (await fetch('/')).text).not.toContain('<script>');
  });

  it('loads nothing from other hosts and no inline code, and its policy says so', async () => {
    const { fetch, simulator } = await startClient();
    const { text, headers } = await fetch('/');
    expect(text).not.toMatch(/<script(?! src="\/inbox\.js")|<style|style=|\son[a-z]+=/);
    const addresses = [...text.matchAll(/(?:src|href|action)="([^"]*)"/g)].map(([, address]) =>
      String(address),
    );
    expect(addresses.filter((address) => !/^(\/|#|data:,$)/.test(address))).toEqual([]);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(text).toContain(simulator.endpoint);
  });

  it('refreshes, also without its script, until ?refresh=off', async () => {
    const { fetch } = await startClient();
    const refreshes = /<body data-refresh="5">/;
    const without = /<noscript><meta http-equiv="refresh" content="5">/;
    const on = (await fetch('/')).text;
    expect([refreshes.test(on), without.test(on)]).toEqual([true, true]);
    const off = (await fetch('/?refresh=off')).text;
    expect([refreshes.test(off), without.test(off)]).toEqual([false, false]);
  });

  it('says which numbers pause sending for all apps', async () => {
    const { fetch } = await startClient();
    const rows = (await fetch('/')).text.split('<tr>');
    for (const number of ['+60190000003', '+60190000004', '+60190000005']) {
      expect(rows.find((row) => row.includes(number))).toContain('Pauses sending for all apps');
    }
    expect(rows.find((row) => row.includes('+60190000001'))).toContain('Fails this OTP alone');
  });

  it('can be narrowed to a number', async () => {
    const { ask, fetch } = await startClient();
    await ask({ message: 'one %OTP%' });
    await ask({ message: 'two %OTP%', mobile: '198765432' });
    const { text } = await fetch('/?mobile=%2B60198765432');
    expect(text).toContain('RM0.00 two');
    expect(text).not.toContain('RM0.00 one');
  });

  it('comes with a style sheet for light and dark', async () => {
    const { fetch } = await startClient();
    const { text, headers } = await fetch('/inbox.css');
    expect(headers['content-type']).toContain('text/css');
    expect(text).toContain('prefers-color-scheme: dark');
  });
});
