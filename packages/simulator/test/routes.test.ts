import { describe, expect, it } from 'vitest';
import { startClient } from './client.js';

describe('inbox.json', () => {
  it('gives text, code and ids, newest first', async () => {
    const { ask, fetch } = await startClient({ clock: () => Date.parse('2026-01-02T03:04:05.678Z') });
    await ask();
    const { code, uuid, sms_id } = await ask({ mobile: '198765432', sendid: 'MyApp' });
    const { messages } = JSON.parse((await fetch('/inbox.json')).text);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toEqual({
      smsId: sms_id,
      uuid,
      code,
      mobile: '+60198765432',
      senderId: 'MyApp',
      text: `RM0.00 Your code is ${code}`,
      unicode: false,
      credits: 1,
      sentAt: '2026-01-02T03:04:05.678Z',
    });
  });

  it('can be narrowed to a number and to a few', async () => {
    const { ask, fetch } = await startClient();
    await ask();
    const sent = await ask();
    await ask({ mobile: '198765432' });
    const { messages } = JSON.parse((await fetch('/inbox.json?mobile=%2B60123456789&limit=1')).text);
    expect(messages).toMatchObject([{ code: sent['code'] }]);
  });

  it.each(['limit=0', 'limit=1001', 'limit=x', 'mobile=1&mobile=2'])('refuses ?%s', async (query) => {
    const { fetch } = await startClient();
    for (const path of ['/inbox.json', '/']) {
      expect(await fetch(`${path}?${query}`)).toMatchObject({ status: 400 });
    }
  });
});

describe('DELETE /inbox', () => {
  it('empties the inbox', async () => {
    const { ask, fetch } = await startClient();
    await ask();
    expect(await fetch('/inbox', { method: 'DELETE' })).toMatchObject({ status: 204, text: '' });
    expect(JSON.parse((await fetch('/inbox.json')).text)).toEqual({ messages: [] });
  });
});

describe('any other address', () => {
  it('is a 404 without a stack', async () => {
    const { fetch } = await startClient();
    expect(await fetch('/nothing')).toMatchObject({
      status: 404,
      text: '{"error":"There is nothing at this address"}',
    });
  });
});
