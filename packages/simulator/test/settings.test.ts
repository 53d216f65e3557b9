import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { settingNames } from '../src/settings.js';
import { startClient } from './client.js';

describe('POST /settings', () => {
  it('changes what it names, leaves the rest, and answers with all of them', async () => {
    const { fetch } = await startClient({ settings: { expiresOn: '2099-01-02' } });
    const changed = await fetch('/settings', {
      method: 'POST',
      json: { credits: 12.5, latencyMs: { min: 0, max: 1 }, trouble: 'ip_not_allowed' },
    });
    const settings = {
      credits: 12.5,
      expiresOn: '2099-01-02',
      latencyMs: { min: 0, max: 1 },
      errorRate: 0,
      errorKind: 'reset_before_sms',
      trouble: 'ip_not_allowed',
      refusal: null,
      failureStyle: 'text',
    };
    expect(JSON.parse(changed.text)).toEqual(settings);
    expect(JSON.parse((await fetch('/settings')).text)).toEqual(settings);
  });

  it.each([
    [{ credits: -1 }, /^credits: /],
    [{ credits: '5' }, /^credits: .*number/],
    [{ expiresOn: '29 Apr 2025' }, /^expiresOn: /],
    [{ expiresOn: '2025-02-30' }, /^expiresOn: /],
    [{ latencyMs: { min: 5, max: 1 } }, /^latencyMs: min must not be above max$/],
    [{ latencyMs: 'slow' }, /^latencyMs: must be milliseconds/],
    [{ errorRate: 1.1 }, /^errorRate: /],
    [{ errorKind: 'normal' }, /^errorKind: /],
    [{ trouble: 'none' }, /^trouble: /],
    [{ credit: 5 }, /"credit"/],
    [[], /object/],
  ])('refuses %o and changes nothing', async (json, problem) => {
    const { fetch, simulator } = await startClient();
    const before = { ...simulator.state.settings };
    const { status, text } = await fetch('/settings', { method: 'POST', json });
    expect(status).toBe(400);
    expect(JSON.parse(text).problems).toEqual([expect.stringMatching(problem)]);
    expect(simulator.state.settings).toEqual(before);
  });

  it('changes nothing when one of several is wrong, and names every problem', async () => {
    const { fetch, simulator } = await startClient();
    const { text } = await fetch('/settings', {
      method: 'POST',
      json: { credits: 1, errorRate: 2, trouble: 1 },
    });
    expect(JSON.parse(text).problems).toHaveLength(2);
    expect(simulator.state.settings.credits).toBe(10_000);
  });

  it('says what it wants when it gets no JSON', async () => {
    const { fetch } = await startClient();
    const { status, text } = await fetch('/settings', { method: 'POST' });
    expect(status).toBe(400);
    expect(text).toContain('content-type: application/json');
  });

  it('says no more than that it could not read a body that is not JSON', async () => {
    const { simulator } = await startClient();
    const headers = { 'content-type': 'application/json' };
    const res = await request(`${simulator.url}/settings`, { method: 'POST', headers, body: '{"credits":' });
    expect(res.statusCode).toBe(400);
    expect(await res.body.json()).toEqual({ error: 'The request could not be read' });
  });
});

describe('a settings form of the page', () => {
  const post = async (url: string, body: string, headers: Record<string, string> = {}) => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const res = await request(`${url}/settings`, { method: 'POST', headers: { ...form, ...headers }, body });
    return { status: res.statusCode, location: res.headers['location'], text: await res.body.text() };
  };

  it.each([
    ['credits=12.5', { credits: 12.5 }],
    ['expiresOn=', { expiresOn: null }],
    ['expiresOn=2099-01-02', { expiresOn: '2099-01-02' }],
    ['latencyMs=100', { latencyMs: 100 }],
    ['latencyMs=100-900', { latencyMs: { min: 100, max: 900 } }],
    ['errorRate=0.5', { errorRate: 0.5 }],
    ['errorKind=slow', { errorKind: 'slow' }],
    ['trouble=ip_not_allowed', { trouble: 'ip_not_allowed' }],
    ['refusal=Sistem+tergendala', { refusal: 'Sistem tergendala' }],
    ['refusal=', { refusal: null }],
    ['failureStyle=code', { failureStyle: 'code' }],
  ])('saves %s and leads back to the page', async (body, settings) => {
    const { simulator } = await startClient({ settings: { refusal: 'x' } });
    const before = { ...simulator.state.settings };
    expect(await post(simulator.url, body)).toMatchObject({ status: 303, location: '/#settings' });
    expect(simulator.state.settings).toEqual({ ...before, ...settings });
  });

  it('changes no setting when it is saved as it is shown', async () => {
    const { simulator, fetch } = await startClient({ settings: { latencyMs: { min: 1, max: 2 } } });
    const before = { ...simulator.state.settings };
    const { text } = await fetch('/');
    for (const name of settingNames) {
      const form = text.split('<form').find((each) => each.includes(`for="${name}"`)) ?? '';
      const value = /value="([^"]*)" selected/.exec(form) ?? /value="([^"]*)"/.exec(form);
      expect(
        await post(simulator.url, new URLSearchParams({ [name]: value?.[1] ?? '' }).toString()),
      ).toMatchObject({
        status: 303,
      });
    }
    expect(simulator.state.settings).toEqual(before);
  });

  it('shows what is wrong, and changes nothing', async () => {
    const { simulator } = await startClient();
    const { status, text } = await post(simulator.url, 'credits=many');
    expect(status).toBe(400);
    expect(text).toContain('Not saved: credits: must be a number');
    expect(simulator.state.settings.credits).toBe(10_000);
  });

  it('is refused from another site', async () => {
    const { simulator } = await startClient();
    const { host } = new URL(simulator.url);
    for (const origin of ['https://other.example', 'null']) {
      expect(await post(simulator.url, 'credits=0', { origin })).toMatchObject({ status: 403 });
    }
    expect(simulator.state.settings.credits).toBe(10_000);
    expect(await post(simulator.url, 'credits=0', { origin: `http://${host}` })).toMatchObject({
      status: 303,
    });
  });

  it('is refused with 413 when it is longer than 16 KiB', async () => {
    const { simulator } = await startClient();
    expect(await post(simulator.url, `refusal=${'x'.repeat(20_000)}`)).toMatchObject({ status: 413 });
  });
});
