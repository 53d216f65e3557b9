import type { Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import type { SendOutcome, UnknownReason } from '../../src/otp/outcome.js';
import { echoed, openAccount, sendCall, verifyCall, windowOf } from './account.js';
import { always, type Behaviour, refusedPort, reply, startFakeProvider } from './fake-provider.js';
import { setScene } from './scene.js';

const good = JSON.stringify({ status: 'Success', ...echoed });
const verified = JSON.stringify({ status: 'Verified', ...echoed });
const headOf = (lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`;

function trickle(socket: Socket): void {
  socket.write(headOf(['content-length: 5000']));
  const timer = setInterval(() => socket.write(' '), 20);
  socket.on('close', () => clearInterval(timer));
}

const faults: [string, Behaviour, UnknownReason][] = [
  ['hangs', () => undefined, 'timeout'],
  ['trickles', trickle, 'timeout'],
  ['hangs after half a reply', always(headOf(['content-length: 500']) + good), 'timeout'],
  ['resets after reading the request', (socket) => socket.resetAndDestroy(), 'connection_lost'],
  ['closes without a word', (socket) => socket.end(), 'connection_lost'],
  [
    'resets in the middle of the body',
    (socket) => socket.write(headOf(['content-length: 500']) + good, () => socket.resetAndDestroy()),
    'connection_lost',
  ],
  ['truncates the body', (socket) => socket.end(headOf(['content-length: 500']) + good), 'connection_lost'],
  [
    'truncates the body of its last reply',
    (socket) => socket.end(headOf(['content-length: 500', 'connection: close']) + good),
    'connection_lost',
  ],
  [
    'truncates a chunked body',
    (socket) => socket.end(`${headOf(['transfer-encoding: chunked'])}500\r\n${good}`),
    'connection_lost',
  ],
  [
    'truncates a body that has no length',
    (socket) => socket.end(headOf(['connection: close']) + good.slice(0, 40)),
    'reply_not_json',
  ],
  [
    'sends two lengths',
    always(headOf([`content-length: ${good.length}`, 'content-length: 3']) + good),
    'connection_lost',
  ],
  ['does not speak HTTP', (socket) => socket.end('220 mail.example ESMTP\r\n'), 'reply_wrong_shape'],
  ['sends endless headers', always(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`), 'reply_too_large'],
  ['sends an empty body', always(reply('')), 'reply_empty'],
  ['sends blanks', always(reply(' \r\n ')), 'reply_empty'],
  ['sends no content', always('HTTP/1.1 204 X\r\n\r\n'), 'reply_empty'],
  ['sends HTML', always(reply('<html>Authentication Failed</html>')), 'reply_not_json'],
  ['sends HTML with status 404', always(reply('<html></html>', 404)), 'reply_not_json'],
  ['answers 500', always(reply(good, 500)), 'server_error'],
  ['answers 503 and never ends its body', always(headOf([]).replace('200', '503')), 'server_error'],
  [
    'asks for an upgrade',
    always('HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n'),
    'connection_lost',
  ],
];

/** How long a call with this outcome is waited for, in milliseconds. */
const patienceFor = (reason: string) => (reason === 'timeout' ? 1_000 : 20_000);

test.each(faults)('a send that %s is unknown, after one request', async (_, behave, reason) => {
  const { provider, server } = await setScene(behave);
  expect(await provider.send(sendCall, windowOf(patienceFor(reason)))).toEqual({ kind: 'unknown', reason });
  expect(server.targets).toHaveLength(1);
});

test.each(faults)('a verification that %s does not verify, after one request', async (_, behave, reason) => {
  const { provider, server } = await setScene(behave, { verifyTimeoutMs: patienceFor(reason) });
  expect(await provider.verify(verifyCall)).toEqual({ kind: 'unavailable', reason });
  expect(server.targets).toHaveLength(1);
});

test.each(faults)('a balance call that %s knows no credits', async (_, behave, reason) => {
  const { provider } = await setScene(behave, { verifyTimeoutMs: patienceFor(reason) });
  expect(await provider.balance()).toEqual({ kind: 'unavailable', reason });
});

test('a redirect is not followed', async () => {
  const target = await startFakeProvider(always(reply(good)));
  const { provider, server } = await setScene(always(reply('', 302, [`location: ${target.url}`])));
  expect(await provider.send(sendCall, windowOf())).toEqual({ kind: 'unknown', reason: 'redirect' });
  expect(await provider.verify(verifyCall)).toEqual({ kind: 'unavailable', reason: 'redirect' });
  expect([server.targets.length, target.connections]).toEqual([2, 0]);
  await target.close();
});

test('a 429 is proven unsent, with any body or none', async () => {
  const { provider, server } = await setScene((socket, target) =>
    socket.write(target.includes('method') ? reply(verified, 429) : 'HTTP/1.1 429 X\r\n\r\n{'),
  );
  expect(await provider.send(sendCall, windowOf())).toEqual({
    kind: 'unsent',
    reason: 'too_many_requests',
  });
  expect(await provider.verify(verifyCall)).toEqual({ kind: 'unsent', reason: 'too_many_requests' });
  expect(server.targets).toHaveLength(2);
});

const notConnected: SendOutcome = { kind: 'unsent', reason: 'not_connected' };

test('a refused connection is proven unsent', async () => {
  const provider = openAccount(`http://127.0.0.1:${await refusedPort()}/`);
  expect(await provider.send(sendCall, windowOf())).toEqual(notConnected);
  expect(await provider.verify(verifyCall)).toEqual({ kind: 'unsent', reason: 'not_connected' });
  expect(await provider.balance()).toEqual({ kind: 'unavailable', reason: 'not_connected' });
  await provider.close();
});

test('a name that does not resolve is proven unsent', async () => {
  const provider = openAccount('http://isms.invalid/');
  expect(await provider.send(sendCall, windowOf())).toEqual(notConnected);
  await provider.close();
});

test('a self-signed certificate is refused before a byte of the request leaves', async () => {
  const { provider, server } = await setScene(always(reply(good)), {}, true);
  expect(await provider.send(sendCall, windowOf())).toEqual(notConnected);
  expect([server.targets.length, server.bytes]).toEqual([0, 0]);
});

test('no verification of certificates can be switched off from outside', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  const { provider, server } = await setScene(always(reply(good)), {}, true);
  expect(await provider.send(sendCall, windowOf())).toEqual(notConnected);
  expect(server.bytes).toBe(0);
  vi.unstubAllEnvs();
});

test('a TLS handshake that never ends is proven unsent, by the connect time-out', async () => {
  const { provider, server } = await setScene(() => undefined);
  const tls = openAccount(server.url.replace('http:', 'https:'), { connectTimeoutMs: 1_000 });
  const window = windowOf();
  expect(await tls.send(sendCall, window)).toEqual(notConnected);
  expect(performance.now()).toBeLessThan(window.endBy);
  await Promise.all([tls.close(), provider.close()]);
});

test('a TLS handshake that never ends is proven unsent, by the total time-out', async () => {
  const { provider, server } = await setScene(() => undefined);
  const tls = openAccount(server.url.replace('http:', 'https:'), { connectTimeoutMs: 3_000 });
  expect(await tls.send(sendCall, windowOf(1_000))).toEqual(notConnected);
  await Promise.all([tls.close(), provider.close()]);
});

test('a connection reset before the request is proven unsent', async () => {
  const { provider, server } = await setScene(() => undefined);
  const tls = openAccount(server.url.replace('http:', 'https:'));
  const sending = tls.send(sendCall, windowOf());
  await vi.waitFor(() => expect(server.open).toBe(1), { timeout: 10_000 });
  await server.close();
  expect(await sending).toEqual(notConnected);
  await Promise.all([tls.close(), provider.close()]);
});

test('a refusal with a 4xx status is read as the refusal that it is', async () => {
  const refusal = JSON.stringify({ ...echoed, status: 'Failed', message: 'Authentication Failed' });
  const { provider } = await setScene(always(reply(refusal, 401)));
  const trouble = 'authentication_failed';
  expect(await provider.send(sendCall, windowOf())).toEqual({ kind: 'account_trouble', trouble });
});
