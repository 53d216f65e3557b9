import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { createHttpServer } from '../../../src/api/http/http-server.js';
import { sleep } from '../../support/otps.js';
import { requestBody } from '../../support/request-body.js';
import { shopKey, startGateway } from '../gateway.js';
import { exchange } from './raw-http.js';

const load = { addDone: async () => {}, done: async () => Date.now(), memory: async () => 0 };
const gateway = await startGateway({ load });
let next = 3_000_000;

interface Request {
  path: string;
  body: object;
  prefer?: string;
}

const post = ({ path, body, prefer }: Request) => {
  const text = JSON.stringify(body);
  const headers = [
    'Host: gateway.test',
    `Authorization: Bearer ${shopKey}`,
    'Content-Type: application/json',
    `Content-Length: ${text.length}`,
    ...(prefer ? [`Prefer: ${prefer}`] : []),
  ];
  return `POST ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${text}`;
};
/** A send whose answer waits: no worker runs here. */
const waiting = (reference: string) =>
  post({ path: '/v1/otps', body: { to: `012${next++}`, reference }, prefer: 'wait=30' });
const otpsOf = async (reference: string) => {
  const { json } = await gateway.call('GET', `/v1/otps?reference=${reference}`);
  return (json as { otps: object[] }).otps;
};
const connectTo = (url: string) => connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});

/** Writes these behind a send that waits, and resets the connection once that send is accepted. */
const resetBehind = async (reference: string, requests: string) => {
  const logged = gateway.logs.length;
  const socket = connectTo(gateway.url);
  socket.write(waiting(reference) + requests);
  await vi.waitUntil(async () => (await otpsOf(reference)).length === 1, { timeout: 10_000 });
  socket.resetAndDestroy();
  const aborted = () => gateway.logs.slice(logged).some((line) => line.includes('"aborted":true'));
  await vi.waitUntil(aborted, { timeout: 10_000 });
};

describe('requests that are pipelined behind one that waits', () => {
  it('leave their upload slots free when the client resets the connection', async () => {
    const upload = { path: '/v1/otps/bulk', body: { otps: [{ to: '1' }] } };
    for (let n = 0; n < 5; n++) await resetBehind(`slot-${n}`, post(upload));
    expect((await gateway.call('POST', upload.path, { body: upload.body })).status).toBe(202);
  });

  it('are not served when the client resets the connection', async () => {
    const sends = Array.from({ length: 20 }, () =>
      post({ path: '/v1/otps', body: { to: `012${next++}`, reference: 'behind' } }),
    );
    await resetBehind('before', sends.join(''));
    expect(await otpsOf('behind')).toEqual([]);
  });
});

describe('a server of pipelined requests', () => {
  const served: string[] = [];
  const waitMs = 5_000;
  const server = createHttpServer(async (req, res) => {
    served.push(req.url ?? '');
    if (req.url === '/never') return;
    if (req.url === '/wait') await sleep(waitMs);
    const body = await requestBody(req);
    res.end(req.url === '/large' ? Buffer.alloc(16 * 1_024 * 1_024) : `${body?.length} bytes`);
  });
  server.listen(0, '127.0.0.1');
  afterAll(() => server.close());
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n`;
  const address = async () => {
    if (!server.listening) await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('begins to time a body when its request has its turn', { timeout: 20_000 }, async () => {
    const url = await address();
    const length = 64 * 1_024;
    const large = `POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`;
    const { text } = await exchange(url, get('/wait') + large);
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
    expect(text).toContain(`${length} bytes`);
  });

  it('serves no more of them while an answer is not read', async () => {
    const url = await address();
    const socket = connectTo(url);
    socket.write(get('/large').repeat(50));
    await vi.waitUntil(() => served.includes('/large'), { timeout: 10_000 });
    await exchange(url, 'GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(served.filter((path) => path === '/large')).toHaveLength(1);
    socket.destroy();
  });

  const withFields = (path: string, count: number, value = '1') => {
    const fields = Array.from({ length: count }, (_, n) => `h${n}:${value}\r\n`).join('');
    return get(path).replace('\r\n\r\n', `\r\n${fields}\r\n`);
  };

  it('answers one with too many headers in its turn, without keeping it until then', async () => {
    const { text } = await exchange(
      await address(),
      get('/wait') + withFields('/fields', 101) + get('/after'),
    );
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 431']);
    expect(served).not.toContain('/after');
  });

  it('ends a connection on which more than 128 KB of headers wait', async () => {
    const { text } = await exchange(
      await address(),
      get('/wait') + withFields('/heavy', 50, 'x'.repeat(200)).repeat(20),
    );
    expect(text).toBe('');
    expect(served).not.toContain('/heavy');
  });

  it.each([
    [20, 'as many headers as fit', 2_200],
    [99, 'as many headers as are allowed', 99],
  ])('keeps little memory for 40 connections of %i waiting requests with %s', async (requests, _, count) => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = () => {
      collect();
      return process.memoryUsage().heapUsed / 1_024 / 1_024;
    };
    const bytes = Buffer.from(get('/never') + withFields('/many', count).repeat(requests));
    const url = await address();
    const taken = new Set<Socket>();
    let [connections, readByClosed] = [0, 0];
    const take = (socket: Socket) => {
      connections += 1;
      taken.add(socket);
      socket.once('close', () => {
        taken.delete(socket);
        readByClosed += socket.bytesRead;
      });
    };
    server.on('connection', take);
    const before = used();
    const sockets = Array.from({ length: 40 }, () => connectTo(url));
    for (const socket of sockets) socket.write(bytes);
    let [read, readBefore] = [0, -1];
    while (read === 0 || read !== readBefore) {
      await sleep(1_000);
      readBefore = read;
      read = [...taken].reduce((sum, { bytesRead }) => sum + bytesRead, readByClosed);
    }
    expect(connections).toBe(40);
    server.off('connection', take);
    expect(used() - before).toBeLessThan(24);
    for (const socket of sockets) socket.destroy();
  });

  it('ends a connection on which more than 100 wait', async () => {
    const { text } = await exchange(await address(), get('/wait') + get('/crowd').repeat(200));
    expect(text).toBe('');
    expect(served).not.toContain('/crowd');
  });
});
