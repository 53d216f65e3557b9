import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
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

  it('ends a connection on which more than 100 wait', async () => {
    const { text } = await exchange(await address(), get('/wait') + get('/crowd').repeat(200));
    expect(text).toBe('');
    expect(served).not.toContain('/crowd');
  });
});
