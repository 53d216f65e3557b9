import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { allowSlowBody } from '../../../src/api/http/body.js';
import { createHttpServer } from '../../../src/api/http/http-server.js';
import { sleep } from '../../support/otps.js';
import { exchange, type RawAnswer } from './raw-http.js';

/** Answers late, and never reads a body unless it is asked to. */
const server = createHttpServer(async (req, res) => {
  if (req.url === '/upload') allowSlowBody(req, res);
  if (req.url === '/body') await req.toArray().catch(() => []);
  if (req.url === '/early') res.writeHead(200).end('early');
  await sleep(req.url === '/late' ? 200 : 0);
  if (!res.writableEnded) res.end(`served ${req.url}`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
afterAll(() => server.close());

const host = 'Host: gateway.test\r\n';
const closing = `${host}Connection: close\r\n\r\n`;

function expectProblemIn(answer: RawAnswer, status: number, code: string): void {
  expect([answer.status, answer.contentType]).toEqual([status, 'application/problem+json']);
  expect(JSON.parse(answer.body)).toMatchObject({
    type: `/docs/errors#${code}`,
    status,
    code,
  });
  expect(answer.text).toMatch(/^connection: close\r$/im);
}

const lines = (count: number) => Array.from({ length: count }, (_, n) => `X-${n}: x\r\n`).join('');
const chunked = (rest: string) =>
  `POST /body HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n${rest}`;

describe('the server answers with a problem document', () => {
  it.each([
    ['an unknown method', `FOO / HTTP/1.1\r\n${closing}`, 400, 'invalid_request'],
    ['a method of another protocol', `SETUP / HTTP/1.1\r\n${closing}`, 400, 'invalid_request'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'invalid_request'],
    ['another protocol', '\x16\x03\x01\x02\x00\x01\x00', 400, 'invalid_request'],
    ['no version', `GET /\r\n${closing}`, 400, 'invalid_request'],
    ['a version that is not spoken', `GET / HTTP/2.0\r\n${closing}`, 400, 'invalid_request'],
    ['a version that is none', `GET / HTTP/9.9\r\n${closing}`, 400, 'invalid_request'],
    ['HTTP/1.1 without Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'invalid_request'],
    ['two Hosts', `GET / HTTP/1.1\r\n${host}${closing}`, 400, 'invalid_request'],
    ['two Hosts of HTTP/1.0', `GET / HTTP/1.0\r\n${host}${closing}`, 400, 'invalid_request'],
    ['a target that is none', `GET http://[::1 HTTP/1.1\r\n${closing}`, 400, 'invalid_request'],
    ['a target of another scheme', `GET ftp:x HTTP/1.1\r\n${closing}`, 400, 'invalid_request'],
    ['an asterisk', `OPTIONS * HTTP/1.1\r\n${closing}`, 400, 'invalid_request'],
    ['a space in a header name', `GET / HTTP/1.1\r\nX : y\r\n${closing}`, 400, 'invalid_request'],
    ['a NUL in a header', `GET / HTTP/1.1\r\nX: \0\r\n${closing}`, 400, 'invalid_request'],
    ['a folded header', `GET / HTTP/1.1\r\nX: y\r\n z\r\n${closing}`, 400, 'invalid_request'],
    [
      'two lengths',
      `POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n${closing}`,
      400,
      'invalid_request',
    ],
    ['a negative length', `POST / HTTP/1.1\r\nContent-Length: -1\r\n${closing}`, 400, 'invalid_request'],
    [
      'a length and chunks',
      `POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n${closing}`,
      400,
      'invalid_request',
    ],
    [
      'an unknown Transfer-Encoding',
      `POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n${closing}`,
      400,
      'invalid_request',
    ],
    [
      'chunks that are not last',
      `POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n${closing}`,
      400,
      'invalid_request',
    ],
    ['a chunk without a size', chunked('xyz\r\n'), 400, 'invalid_request'],
    ['endless chunk extensions', chunked(`1;${'x'.repeat(20_000)}\r\n`), 413, 'body_too_large'],
    ['an expectation', `POST / HTTP/1.1\r\nExpect: a miracle\r\n${closing}`, 417, 'expectation_failed'],
    [
      'more headers than 16 KiB',
      `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n${closing}`,
      431,
      'headers_too_large',
    ],
    [
      'headers that do not stop',
      `GET / HTTP/1.1\r\n${`X: ${'x'.repeat(1_000)}\r\n`.repeat(1_000)}`,
      431,
      'headers_too_large',
    ],
    [
      'a target longer than 16 KiB',
      `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${closing}`,
      431,
      'headers_too_large',
    ],
    ['101 headers', `GET / HTTP/1.1\r\n${host}${lines(100)}\r\n`, 431, 'headers_too_large'],
    ['a tunnel', `CONNECT example.com:443 HTTP/1.1\r\n${closing}`, 405, 'method_not_allowed'],
  ])('%s', async (_, bytes, status, code) => {
    expectProblemIn(await exchange(url, Buffer.from(bytes, 'latin1')), status, code);
  });

  it.each([
    [
      'a request that came while the process stood still is served',
      `GET / HTTP/1.1\r\n${closing}`,
      /^HTTP\/1.1 200 /,
    ],
    [
      'half a request that came while the process stood still times out',
      'GET / HTTP/1.1\r\nHost:',
      /^HTTP\/1.1 408 /,
    ],
  ])('%s', async (_, bytes, answer) => {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(server, 'connection');
    client.write(bytes);
    const until = performance.now() + 3_000;
    while (performance.now() < until);
    const [first] = await once(client, 'data');
    expect(String(first)).toMatch(answer);
    client.destroy();
  });

  it('half a request that stalls', async () => {
    expectProblemIn(await exchange(url, 'GET / HTTP/1.1\r\nHost:'), 408, 'request_timeout');
  });

  it('half a request after which the client half-closes', async () => {
    const bytes = `POST /body HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nhel`;
    expectProblemIn(await exchange(url, bytes, { end: true }), 400, 'invalid_request');
  });
});

it('the server keeps a connection that carried an upload as long as others', async () => {
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  client.write(`POST /upload HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`);
  const [, res] = await once(server, 'request');
  await once(res, 'close');
  await new Promise(setImmediate);
  expect(socket.timeout).toBeGreaterThanOrEqual(65_000);
  expect(socket.timeout).toBeLessThan(70_000);
  client.destroy();
});

describe('the server accepts what HTTP allows', () => {
  it.each([
    ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n'],
    ['100 headers', `GET / HTTP/1.1\r\n${lines(98)}${closing}`],
    ['a client that waits for 100 Continue', `POST / HTTP/1.1\r\nExpect: 100-continue\r\n${closing}`],
    [
      'an upgrade to what we do not speak',
      `GET / HTTP/1.1\r\nUpgrade: websocket\r\n${host}Connection: Upgrade, close\r\n\r\n`,
    ],
    ['an absolute target with a long host', `GET http://${'x'.repeat(300)} HTTP/1.1\r\n${closing}`],
    ['an absolute target', `GET http://gateway.test/ HTTP/1.1\r\n${closing}`],
  ])('%s', async (_, bytes) => {
    expect(await exchange(url, bytes)).toMatchObject({
      status: 200,
      text: expect.stringMatching(/served \/(?!\/)(\r|$)/),
    });
  });
});

describe('answers of one connection do not mix', () => {
  const late = `GET /late HTTP/1.1\r\n${host}\r\n`;

  it.each([
    ['garbage', 'garbage\r\n\r\n', 400],
    ['a tunnel', `CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n`, 405],
    ['a request without Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['a broken body', chunked('xyz\r\n'), 400],
  ])('%s after requests that are still being served', async (_, bytes, status) => {
    const { text } = await exchange(url, late + late + bytes);
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', `HTTP/1.1 ${status}`]);
    expect(text.match(/served \/late/g)).toHaveLength(2);
  });

  it.each([
    ['all at once', (body: string) => [body]],
    ['in one-byte chunks', (body: string) => [body.replaceAll(/./gs, '1\r\n$&\r\n'), '0\r\n\r\n']],
  ])(
    'a body that comes after its answer, %s, is dropped before the next request is served',
    async (_, sent) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      let text = '';
      socket.on('data', (data) => (text += data));
      const body = 'x'.repeat(200_000);
      const parts = sent(body);
      const length = parts.length === 1 ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
      socket.write(`POST /early HTTP/1.1\r\n${host}${length}\r\n\r\n`);
      await expect.poll(() => text).toContain('early');
      for (const part of parts) socket.write(part);
      socket.write(`GET /next HTTP/1.1\r\n${host}\r\n`);
      await expect.poll(() => text).toContain('served /next');
      socket.destroy();
    },
  );

  it('large bodies that come after their answers are dropped in few turns of the event loop', async () => {
    let turns = 0;
    let isOver = false;
    const turn = () => {
      // Uploads may take as long of each turn.
      for (const endsAt = performance.now() + 5; performance.now() < endsAt; );
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    turn();
    const body = Buffer.alloc(2 * 1_024 * 1_024, 'x');
    const next = Array.from({ length: 20 }, async () => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(`POST /early HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
      socket.write(`GET /next HTTP/1.1\r\n${closing}`);
      let text = '';
      for await (const data of socket) text += data;
      return text.includes('served /next');
    });
    const served = await Promise.all(next).finally(() => (isOver = true));
    expect(served).toEqual(next.map(() => true));
    // Each body takes at least 32 reads.
    expect(turns).toBeLessThan(200);
  });

  it('a body that breaks off after the answer closes the connection without a second answer', async () => {
    const body = chunked('').replace('/body', '/early');
    const { text } = await exchange(url, `${body}`.replace('5\r\nhello\r\n', ''), { end: true });
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200']);
  });
});

it('a connection that the client keeps open after the last answer is closed a second later', async () => {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {}).resume();
  const connections = promisify(server.getConnections.bind(server));
  socket.write('garbage\r\n\r\n');
  await once(socket, 'end');
  expect(await connections()).toBe(1);
  await expect.poll(() => connections(), { timeout: 10_000 }).toBe(0);
  socket.destroy();
});

it('an idle connection is kept longer than load balancers keep it', async () => {
  const { headers } = await fetch(url);
  expect(headers.get('Keep-Alive')).toBe('timeout=65');
});
