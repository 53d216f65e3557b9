import { describe, expect, it } from 'vitest';
import { admin, bankKey, expectProblem, shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();

const withHeader = (authorization?: string) =>
  gateway.call('GET', '/v1/otps?reference=x', {
    key: null,
    headers: authorization === undefined ? {} : { Authorization: authorization },
  });

describe('a known key', () => {
  it.each([shopKey, bankKey])('is accepted', async (key) => {
    expect((await withHeader(`Bearer ${key}`)).status).toBe(200);
    expect((await withHeader(`bearer  ${key}`)).status).toBe(200);
  });
});

describe('the answer 401', () => {
  const basic = `Basic ${btoa(`${admin.username}:${admin.password}`)}`;
  const headers = [
    undefined,
    'Bearer',
    'Bearer ',
    `Bearer ${shopKey}x`,
    `Bearer ${shopKey.slice(0, -1)}`,
    `Bearer ${shopKey},${bankKey}`,
    `Bearer ${shopKey} ${bankKey}`,
    `Token ${shopKey}`,
    shopKey,
    basic,
    `Bearer ${'x'.repeat(5_000)}`,
    'Bearer ünknown',
  ];

  it('is the same byte for byte for a missing, a malformed and an unknown key', async () => {
    const replies = await Promise.all(headers.map(withHeader));
    for (const reply of replies) {
      expectProblem(reply, 401, 'unauthorized');
      expect(reply.headers.get('WWW-Authenticate')).toBe('Bearer');
    }
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
  });

  it('precedes every check of body and path', async () => {
    const call = { key: null, body: 'x'.repeat(100_000), headers: { 'Content-Type': 'text/plain' } };
    expectProblem(await gateway.call('POST', '/v1/otps', call), 401, 'unauthorized');
    expectProblem(await gateway.call('PATCH', '/v1/nothing', { key: null }), 401, 'unauthorized');
  });
});
