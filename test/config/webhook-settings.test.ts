import { describe, expect, it } from 'vitest';
import { load as loadAll } from '../../src/main/load.js';
import { load, settingErrors } from './environment.js';

const secret = (bytes = 32) => `whsec_${Buffer.alloc(bytes, 'abcd').toString('base64')}`;
const url = 'https://app.test/hooks?token=x';
const given = (more: Record<string, string> = {}) => ({
  WEBHOOK_URL: url,
  WEBHOOK_SECRET: secret(),
  ...more,
});

describe('a webhook', () => {
  it('receives every event, and needs a public address, by default', () => {
    const { webhook } = load(given());
    expect(webhook).toMatchObject({ events: ['all'], privateAddresses: 'refuse' });
    expect(webhook?.url.reveal()).toBe(url);
    expect(webhook?.secrets.reveal()).toEqual([secret()]);
    expect(load({}).webhook).toBeUndefined();
  });

  it('shows neither its secret nor what its address may hold', () => {
    const shown = JSON.stringify(load(given()).webhook);
    expect(shown).toContain('https://app.test');
    expect(shown).not.toMatch(/token|whsec/);
  });

  it('needs a secret', () => {
    expect(settingErrors({ WEBHOOK_URL: url })).toEqual([
      expect.stringMatching(/^WEBHOOK_SECRET is missing although WEBHOOK_URL is set/),
    ]);
  });

  it('may have several secrets', () => {
    const both = `${secret(24)}, ${secret(64)}`;
    expect(load(given({ WEBHOOK_SECRET: both })).webhook?.secrets.reveal()).toHaveLength(2);
  });

  it.each([
    `whsec_${Buffer.alloc(32, 'abc').toString('base64')}`,
    secret(23),
    secret(65),
    'whsec_',
    'secret',
    secret().slice(6),
    `${secret()},`,
  ])('has no secret such as "%s"', (text) =>
    expect(settingErrors(given({ WEBHOOK_SECRET: text }))).toHaveLength(1),
  );

  it.each(['http://user:pass@app.test/', 'app.test', 'ftp://app.test/', 'https://app.test/#x', 'https://'])(
    'has no address such as "%s"',
    (text) => expect(settingErrors(given({ WEBHOOK_URL: text }))).toHaveLength(1),
  );

  it('is reached over http only where it may be inside this network', () => {
    const inside = given({ WEBHOOK_URL: 'http://app:8080/hooks' });
    expect(() => loadAll(inside, 'start')).toThrow(/WEBHOOK_URL must be https, unless/);
    const allowed = { ...inside, WEBHOOK_PRIVATE_ADDRESSES: 'allow' };
    expect(loadAll(allowed, 'start').webhook?.privateAddresses).toBe('allow');
  });

  it('is told of events that there are', () => {
    const some = given({ WEBHOOK_EVENTS: 'otp.failed, balance.low' });
    expect(loadAll(some, 'start').webhook?.events).toEqual(['otp.failed', 'balance.low']);
    const unknown = given({ WEBHOOK_EVENTS: 'otp.failed,otp.flown' });
    expect(() => loadAll(unknown, 'start')).toThrow(/has unknown events: otp\.flown; known are otp\.sent/);
  });
});
