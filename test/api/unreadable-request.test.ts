import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { answerUnreadable } from '../../src/api/unreadable-request.js';

const server = createServer({ headersTimeout: 100, connectionsCheckingInterval: 50 }, (_req, res) =>
  res.end(),
);
server.on('clientError', answerUnreadable);
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
afterAll(() => {
  server.close();
});

async function answerTo(bytes: string) {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  const [head = '', body = '{}'] = text.split('\r\n\r\n');
  return { head, body: JSON.parse(body) as { status: number; code: string } };
}

it.each([
  ['an unknown method', 'FOO / HTTP/1.1\r\n\r\n', 400, 'invalid_request'],
  [
    'two lengths',
    'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    400,
    'invalid_request',
  ],
  ['headers without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ['half a request', 'GET / HTTP/1.1\r\nHost:', 408, 'request_timeout'],
])('bytes that are no request (%s) are answered with a problem, too', async (_, bytes, status, code) => {
  const { head, body } = await answerTo(bytes);
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain('application/problem+json');
  expect(body).toMatchObject({ status, code });
});
