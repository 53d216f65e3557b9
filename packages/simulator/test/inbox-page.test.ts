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

  it('shows every number that misbehaves, and every setting', async () => {
    const { fetch, simulator } = await startClient();
    const { text } = await fetch('/');
    for (const { number } of behaviours) expect(text).toContain(number);
    for (const name of Object.keys(simulator.state.settings)) expect(text).toContain(`<code>${name}</code>`);
  });

  it('lets nothing from a message or an address become markup', async () => {
    const { ask, fetch } = await startClient();
    await ask({ message: '<script>alert("%OTP%")</script>', un: '<b>' });
    const { text } = await fetch('/?mobile=%22%3E%3Cscript%3E');
    expect(text + (await fetch('/')).text).not.toContain('<script');
  });

  it('needs no script and nothing from other hosts, and its policy says so', async () => {
    const { fetch, simulator } = await startClient();
    const { text, headers } = await fetch('/');
    expect(text).not.toMatch(/<script|<style|style=|\son[a-z]+=/);
    const addresses = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => String(address));
    expect(addresses.filter((address) => !/^(\/|#|data:,$)/.test(address))).toEqual([]);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(text).toContain(simulator.endpoint);
  });

  it('refreshes itself until it is told to stand still', async () => {
    const { fetch } = await startClient();
    expect((await fetch('/')).text).toContain('http-equiv="refresh"');
    expect((await fetch('/?refresh=off')).text).not.toContain('http-equiv="refresh"');
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
