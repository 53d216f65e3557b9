import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { echoed, openAccount, sendCall, verifyCall, windowOf } from './account.js';
import { always, type Behaviour, reply } from './fake-provider.js';
import { setScene } from './scene.js';

const accepted = JSON.stringify({ status: 'Success', ...echoed });
const good = reply(accepted);
const verified = reply(JSON.stringify({ status: 'Verified', ...echoed }));
const timeout = { kind: 'unknown', reason: 'timeout' };

/** Writes a body of 2 GB for as long as the other side takes it. */
function flood(socket: Socket, status: number, flooded: { bytes: number; cutOff: number }): void {
  const chunk = Buffer.alloc(64 * 1024, ' ');
  const more = () => {
    while (!socket.destroyed && flooded.bytes < 2 ** 31) {
      flooded.bytes += chunk.length;
      if (!socket.write(chunk)) return socket.once('drain', more);
    }
    return socket.end();
  };
  socket.on('close', () => {
    flooded.cutOff += 1;
  });
  socket.write(`HTTP/1.1 ${status} X\r\ncontent-length: ${2 ** 31}\r\n\r\n`);
  more();
}

/** What a process holds on a busy machine before it collects garbage says nothing about what it keeps. */
setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

test('a reply of 2 GB is cut off at 64 KiB, in little memory', async () => {
  const flooded = { bytes: 0, cutOff: 0 };
  const { provider } = await setScene((socket) => flood(socket, 200, flooded));
  const endure = async (floods: number) => {
    flooded.bytes = 0;
    const outcome = await provider.send(sendCall, windowOf());
    expect(outcome).toEqual({ kind: 'unknown', reason: 'reply_too_large' });
    await vi.waitFor(() => expect(flooded.cutOff).toBe(floods), { timeout: 10_000 });
    expect(flooded.bytes).toBeLessThan(16 * 2 ** 20);
  };
  const kept = () => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  for (const floods of [1, 2]) await endure(floods);
  const before = kept();
  for (const floods of [3, 4, 5]) await endure(floods);
  expect(kept() - before).toBeLessThan(2 ** 20);
});

test('an error reply without end is not read, and blocks no connection', async () => {
  const flooded = { bytes: 0, cutOff: 0 };
  const flooding: Behaviour = (socket, _, nth) => {
    if (nth === 1) flood(socket, 502, flooded);
    else if (nth === 2) socket.write('HTTP/1.1 502 X\r\ncontent-length: 9\r\n\r\n');
    else socket.write(good);
  };
  const { provider } = await setScene(flooding, { sendConnections: 1 });
  for (const reason of ['server_error', 'server_error']) {
    expect(await provider.send(sendCall, windowOf())).toEqual({ kind: 'unknown', reason });
  }
  expect(await provider.send(sendCall, windowOf())).toMatchObject({ kind: 'accepted' });
  expect([flooded.cutOff, flooded.bytes < 16 * 2 ** 20]).toEqual([1, true]);
});

test('a reply of 64 KiB is read whole', async () => {
  const body = accepted.padEnd(64 * 1024, ' ');
  const { provider } = await setScene(always(reply(body)));
  expect(await provider.send(sendCall, windowOf())).toMatchObject({ kind: 'accepted' });
});

test('a connection is used again, and a connection that the server closed is not', async () => {
  const closing: Behaviour = (socket, _, nth) => (nth === 3 ? socket.end(good) : socket.write(good));
  const { provider, server } = await setScene(closing, { sendConnections: 1 });
  for (let call = 0; call < 3; call += 1) await provider.send(sendCall, windowOf());
  expect(server.connections).toBe(1);
  expect(await provider.send(sendCall, windowOf())).toMatchObject({ kind: 'accepted' });
  expect([server.connections, server.targets.length]).toEqual([2, 4]);
});

test('a kept connection that is reset under a request is not tried again', async () => {
  const resetting: Behaviour = (socket, _, nth) =>
    nth === 1 ? socket.write(good) : socket.resetAndDestroy();
  const { provider, server } = await setScene(resetting, { sendConnections: 1 });
  await provider.send(sendCall, windowOf());
  expect(await provider.send(sendCall, windowOf())).toEqual({ kind: 'unknown', reason: 'connection_lost' });
  expect([server.connections, server.targets.length]).toEqual([1, 2]);
});

test('an idle connection is closed before a usual server would close it', async () => {
  const { provider, server } = await setScene(always(reply(accepted, 200, ['keep-alive: timeout=600'])));
  await provider.send(sendCall, windowOf());
  expect(server.connections).toBe(1);
  await vi.waitFor(() => expect(server.open).toBe(0), { timeout: 20_000 });
});

test('hung sends do not slow verification', async () => {
  const hung: Socket[] = [];
  let hang = true;
  const hangSends: Behaviour = (socket, target) => {
    if (target.includes('method=verify')) socket.write(verified);
    else if (hang) hung.push(socket);
    else socket.write(good);
  };
  const { provider } = await setScene(hangSends, { sendConnections: 2 });
  const sends = [1, 2, 3, 4].map(() => provider.send(sendCall, windowOf()));
  await vi.waitFor(() => expect(hung).toHaveLength(2), { timeout: 10_000 });
  expect(await provider.verify(verifyCall)).toEqual({ kind: 'correct' });
  hang = false;
  for (const socket of hung) socket.write(good);
  expect((await Promise.all(sends)).map(({ kind }) => kind)).toEqual(Array(4).fill('accepted'));
});

test('a call that found no free connection until its end is proven unsent, and stays so', async () => {
  const hangFirst: Behaviour = (socket, _, nth) => nth > 1 && socket.write(good);
  const { provider, server } = await setScene(hangFirst, { sendConnections: 1, verifyConnections: 1 });
  const first = provider.send(sendCall, windowOf(2_000));
  const second = provider.send(sendCall, windowOf(500));
  expect(await second).toEqual({ kind: 'unsent', reason: 'not_connected' });
  expect(await first).toEqual(timeout);
  expect(await provider.send(sendCall, windowOf())).toMatchObject({ kind: 'accepted' });
  expect(server.targets).toHaveLength(2);
});

test('a verification that found no free connection gives its attempt back', async () => {
  // Where the first call ends a moment before the second, its place must not become a connection for the second.
  const hang: Behaviour = () => server.stopListening();
  const { provider, server } = await setScene(hang, { verifyConnections: 1, verifyTimeoutMs: 1_000 });
  const calls = [provider.verify(verifyCall), provider.verify(verifyCall)];
  expect(await Promise.all(calls)).toEqual([
    { kind: 'unavailable', reason: 'timeout' },
    { kind: 'unsent', reason: 'not_connected' },
  ]);
  expect(server.targets).toHaveLength(1);
});

test('the end of a window closes the connection, so that a late reply reaches no other call', async () => {
  let late: Socket | undefined;
  const answerLate: Behaviour = (socket, _, nth) => {
    if (nth > 1) socket.write(reply('{"status":"Failed","message":"Invalid Destination Number"}'));
    else late = socket;
  };
  const { provider, server } = await setScene(answerLate, { sendConnections: 1 });
  expect(await provider.send(sendCall, windowOf(1_000))).toEqual(timeout);
  late?.write(good);
  expect(await provider.send(sendCall, windowOf())).toEqual({ kind: 'rejected', failure: 'invalid_number' });
  expect(server.connections).toBe(2);
});

test('the send time-out ends a send whose window is longer', async () => {
  const { provider } = await setScene(() => undefined, { sendTimeoutMs: 1_000 });
  const window = windowOf();
  expect(await provider.send(sendCall, window)).toEqual(timeout);
  expect(performance.now()).toBeLessThan(window.endBy);
});

test('closing finishes the calls under way and lets no new one out', async () => {
  const { provider, server } = await setScene((socket) => setTimeout(() => socket.write(good), 100), {
    sendConnections: 1,
  });
  const sends = [provider.send(sendCall, windowOf()), provider.send(sendCall, windowOf())];
  const closing = provider.close();
  expect(await provider.send(sendCall, windowOf())).toEqual({ kind: 'unsent', reason: 'not_connected' });
  await closing;
  expect((await Promise.all(sends)).map(({ kind }) => kind)).toEqual(['accepted', 'accepted']);
  expect(server.targets).toHaveLength(2);
  await provider.close();
});

test('closing ends although a call hangs', async () => {
  const { provider, server } = await setScene(() => undefined);
  const sending = provider.send(sendCall, windowOf(1_000));
  await vi.waitFor(() => expect(server.targets).toHaveLength(1), { timeout: 10_000 });
  await provider.close();
  expect(await sending).toEqual(timeout);
});

test('closing what never connected ends at once', async () => {
  await openAccount('http://127.0.0.1:9/').close();
});
