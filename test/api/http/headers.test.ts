import { expect, it } from 'vitest';
import { startGateway } from '../gateway.js';

const gateway = await startGateway();

it('every answer has its own X-Request-Id, also errors', async () => {
  const replies = await Promise.all(
    ['/livez', '/nothing', '/v1/balance'].map((path) => gateway.call('GET', path)),
  );
  const ids = replies.map(({ headers }) => headers.get('X-Request-Id'));
  for (const id of ids) expect(id).toMatch(/^req_[\w-]{22}$/);
  expect(new Set(ids).size).toBe(3);
});

it('answers name no framework, allow no other origin, no loading and no caching', async () => {
  const { headers } = await gateway.call('GET', '/v1/otps?reference=x', {
    headers: { Origin: 'https://evil.test' },
  });
  expect(headers.has('X-Powered-By')).toBe(false);
  expect(headers.has('Access-Control-Allow-Origin')).toBe(false);
  expect(headers.has('ETag')).toBe(false);
  expect(headers.get('Cache-Control')).toBe('no-store');
  expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
  expect(headers.get('Content-Security-Policy')).toBe("default-src 'none';frame-ancestors 'none'");
});
