import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { createLookups, createWebhookEndpoint, webhookTimeoutMs } from '../../src/webhooks/endpoint.js';
import { freePort } from '../support/redis-server.js';
import { secret, startReceiver } from './receiver.js';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const endpointTo = (
  url: string,
  options: { allowPrivate?: boolean; secrets?: string[]; timeoutMs?: number } = {},
) => {
  const endpoint = createWebhookEndpoint({ url, secrets: [secret], allowPrivate: true, ...options });
  stops.push(() => endpoint.close());
  return endpoint;
};
const receiver = async (status = 204) => {
  const started = await startReceiver(() => status);
  stops.push(started.close);
  return started;
};
const message = {
  id: 'evt_1',
  payload: '{"type":"otp.sent","timestamp":"2026-01-01T00:00:00.000Z","data":{}}',
};

it('a name is looked up once at a time, and four names at a time: others wait', async () => {
  const asked: string[] = [];
  const answers = new Map<string, () => void>();
  const lookUp = createLookups((name) => {
    asked.push(name);
    return new Promise((resolve) => answers.set(name, () => resolve([])));
  });
  const all = ['a', 'a', 'b', 'c', 'd', 'e'].map(lookUp);
  expect(asked).toEqual(['a', 'b', 'c', 'd']);
  answers.get('b')?.();
  await expect.poll(() => asked).toEqual(['a', 'b', 'c', 'd', 'e']);
  for (const answer of answers.values()) answer();
  expect(await Promise.all(all)).toHaveLength(6);
});

describe('a delivery', () => {
  it('is signed as the specification wants it, and verified by its own verifier', async () => {
    const { url, taken } = await receiver();
    expect(await endpointTo(url).deliver(message)).toEqual({ kind: 'delivered' });
    expect(taken).toHaveLength(1);
    expect(taken[0]?.body).toBe(message.payload);
    expect(taken[0]?.headers).toMatchObject({ 'webhook-id': 'evt_1', 'content-type': 'application/json' });
    const sent = Number(taken[0]?.headers['webhook-timestamp']);
    expect(Math.abs(sent - Date.now() / 1_000)).toBeLessThan(5);
  });

  it('is signed with every secret, so that a receiver can change over', async () => {
    const { url, taken } = await receiver();
    const old = `whsec_${Buffer.alloc(32, 'old.').toString('base64')}`;
    await endpointTo(url, { secrets: [secret, old] }).deliver(message);
    const { headers = {}, body = '' } = taken[0] ?? {};
    expect(() => new Webhook(old).verify(body, headers as Record<string, string>)).not.toThrow();
    expect(String(headers['webhook-signature']).split(' ')).toHaveLength(2);
  });

  it.each([
    [200, 'delivered'],
    [204, 'delivered'],
    [301, 'failed'],
    [302, 'failed'],
    [400, 'failed'],
    [404, 'failed'],
    [410, 'gone'],
    [429, 'failed'],
    [500, 'failed'],
  ])('answered %d is %s', async (status, kind) => {
    const { url, attempts } = await receiver(status);
    expect(await endpointTo(url).deliver(message)).toMatchObject({
      kind,
      ...(kind !== 'delivered' && { reason: `status_${status}` }),
    });
    // No redirect is followed, nothing is asked twice.
    expect(attempts).toHaveLength(1);
  });

  it('fails with a reason and without the address when nothing listens', async () => {
    const url = `http://127.0.0.1:${await freePort()}/?token=a-secret-of-the-receiver`;
    expect(await endpointTo(url).deliver(message)).toEqual({ kind: 'failed', reason: 'not_connected' });
    const reply = await endpointTo('https://name.invalid/').deliver(message);
    expect(reply).toEqual({ kind: 'failed', reason: 'name_not_found' });
  });

  it('fails when the connection breaks off', async () => {
    const server = createTcpServer((socket) => socket.once('data', () => socket.destroy())).listen(
      0,
      '127.0.0.1',
    );
    await new Promise((resolve) => server.once('listening', resolve));
    stops.push(async () => server.close());
    const { port } = server.address() as AddressInfo;
    const reply = await endpointTo(`http://127.0.0.1:${port}/`).deliver(message);
    expect(reply).toEqual({ kind: 'failed', reason: 'connection_lost' });
  });

  it('is over after its time-out, 15 s unless told otherwise, however slowly the receiver answers', async () => {
    expect(webhookTimeoutMs).toBe(15_000);
    const server = createServer((_req, res) => {
      res.writeHead(200);
      const trickle = setInterval(() => res.write('.'), 100);
      res.once('close', () => clearInterval(trickle));
    }).listen(0, '127.0.0.1');
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    stops.push(
      async () => server.closeAllConnections(),
      async () => server.close(),
      async () => silent.closeAllConnections(),
      async () => silent.close(),
    );
    await Promise.all(
      [server, silent].map((each) => new Promise((resolve) => each.once('listening', resolve))),
    );
    const urlOf = (each: typeof server) => `http://127.0.0.1:${(each.address() as AddressInfo).port}/`;
    const unanswering = endpointTo(urlOf(silent), { timeoutMs: 1_000 }).deliver(message);
    // The status said that it was taken; the rest does not matter, and is not waited for.
    expect(await endpointTo(urlOf(server)).deliver(message)).toEqual({ kind: 'delivered' });
    expect(await unanswering).toEqual({ kind: 'failed', reason: 'timeout' });
  });
});

describe('a private address', () => {
  it.each([
    'http://127.0.0.1',
    'http://2130706433',
    'http://0x7f.1',
    'http://[::1]',
    'http://[::ffff:127.0.0.1]',
    'http://localhost',
    'http://0.0.0.0',
  ])('is not connected to: %s', async (origin) => {
    const { url, attempts } = await receiver();
    const { port, pathname } = new URL(url);
    const reply = await endpointTo(`${origin}:${port}${pathname}`, { allowPrivate: false }).deliver(message);
    expect(reply).toEqual({ kind: 'failed', reason: 'private_address' });
    expect(attempts).toEqual([]);
  });
});
