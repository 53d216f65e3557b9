import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { faultRow, full } from '../../support/fault-table.js';
import { sleep } from '../../support/otps.js';
import { shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { hostname, port } = new URL(gateway.url);
const socketsPerKind = full ? 200 : 20;

const head = `POST /v1/otps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${shopKey}\r\nContent-Type: application/json\r\n`;
const refusedUpload = `POST /v1/otps/bulk?no HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${shopKey}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`;
const longBody = `${head}Content-Length: 10000\r\n\r\n`;

/** Writes a first piece, after a while, and then a byte every second until the connection ends. */
async function trickle(socket: Socket, first: string, afterMs: number, byte: string): Promise<void> {
  await sleep(afterMs);
  if (socket.writable) socket.write(first);
  while (socket.writable) {
    await sleep(1_000);
    if (socket.writable) socket.write(byte);
  }
}

const kinds: Record<string, (socket: Socket) => unknown> = {
  'says nothing': () => {},
  'trickles its headers': (socket) => trickle(socket, 'GET /livez HTTP/1.1\r\nX-Slow: ', 0, 'x'),
  'trickles its body': (socket) => trickle(socket, longBody, 0, '{'),
  'trickles a body in chunks': (socket) =>
    trickle(socket, `${head}Transfer-Encoding: chunked\r\n\r\n`, 0, '1\r\n{\r\n'),
  // An upload may take its time until it is answered.
  'trickles what is left of a refused upload': (socket) => trickle(socket, refusedUpload, 0, '1\r\n{\r\n'),
  // The headers come just in time, and what they announce does not.
  'is as slow as it can': (socket) => trickle(socket, longBody, 2_900, '{'),
};

/** Milliseconds from connecting to being closed. */
async function lifetime(behave: (socket: Socket) => unknown): Promise<number> {
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const before = performance.now();
  socket.on('error', () => {}).resume();
  behave(socket);
  await once(socket, 'close');
  return performance.now() - before;
}

/** How long real requests took, one after another, until told to stop. */
async function measure(stop: AbortSignal): Promise<number[]> {
  const tookMs: number[] = [];
  while (!stop.aborted) {
    const before = performance.now();
    const { status } = await gateway.call('GET', '/v1/otps?reference=mine');
    tookMs.push(status === 200 ? performance.now() - before : Number.POSITIVE_INFINITY);
    await sleep(20);
  }
  return tookMs;
}

it('the server closes slow sockets and answers real requests meanwhile', async () => {
  const stop = new AbortController();
  const count = socketsPerKind * Object.keys(kinds).length;
  const measured = measure(stop.signal);
  const lifetimes = await Promise.all(
    Object.entries(kinds).map(async ([kind, behave]) => {
      const all = await Promise.all(Array.from({ length: socketsPerKind }, () => lifetime(behave)));
      return [kind, Math.round(Math.max(...all))] as const;
    }),
  );
  stop.abort();
  const tookMs = await measured;
  const slowest = Math.round(Math.max(...tookMs));
  faultRow(
    `${count} silent or slow sockets`,
    { closedWithinMs: Math.max(...lifetimes.map(([, longest]) => longest)), slowestRealRequestMs: slowest },
    'A5',
  );
  expect(tookMs.length).toBeGreaterThan(0);
  expect(slowest).toBeLessThan(Number.POSITIVE_INFINITY);
  // A busy machine is slower by itself.
  if (!full) return;
  for (const [kind, longest] of lifetimes) expect([kind, longest < 10_000]).toEqual([kind, true]);
  expect(tookMs.length).toBeGreaterThan(100);
  expect(slowest).toBeLessThan(500);
});
