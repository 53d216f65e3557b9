import { expect, test, vi } from 'vitest';
import { createDispatchGuard } from '../../src/isms/exchange.js';
import { momentIn } from '../../src/otp/provider.js';
import { echoed, sendCall, windowOf } from './account.js';
import { always, reply } from './fake-provider.js';
import { setScene } from './scene.js';

const good = always(reply(JSON.stringify({ status: 'Success', ...echoed })));
const stale = { kind: 'unsent', reason: 'stale_claim' };

function staleWindow() {
  return { leaveBy: momentIn(-1), endBy: performance.now() + 20_000 };
}

test('a send whose claim is stale writes no byte, on a new connection', async () => {
  const { provider, server } = await setScene(good);
  expect(await provider.send(sendCall, staleWindow())).toEqual(stale);
  expect([server.connections, server.bytes]).toEqual([1, 0]);
});

test('a send whose claim is stale writes no byte, on a kept connection', async () => {
  const { provider, server } = await setScene(good, { sendConnections: 1 });
  await provider.send(sendCall, windowOf());
  const { bytes } = server;
  expect(await provider.send(sendCall, staleWindow())).toEqual(stale);
  expect([server.connections, server.bytes]).toEqual([1, bytes]);
});

test('the connection that came too late for one send serves the next', async () => {
  const { provider, server } = await setScene(good, { sendConnections: 1 });
  await provider.send(sendCall, staleWindow());
  expect(await provider.send(sendCall, windowOf())).toMatchObject({ kind: 'accepted' });
  expect([server.connections, server.targets.length]).toEqual([1, 1]);
});

test('a process frozen between claim and write sends nothing', async () => {
  const { provider, server } = await setScene(good);
  const sending = provider.send(sendCall, {
    leaveBy: momentIn(50),
    endBy: performance.now() + 20_000,
  });
  for (const thawed = performance.now() + 100; performance.now() < thawed; );
  expect(await sending).toEqual(stale);
  expect(server.bytes).toBe(0);
});

test('a machine suspended between claim and write, whose monotonic clock stood still, sends nothing', async () => {
  const { provider, server } = await setScene(good);
  const window = windowOf();
  const wake = Date.now() + 60_000;
  vi.spyOn(Date, 'now').mockImplementation(() => wake);
  const outcome = await provider.send(sendCall, window).finally(() => vi.restoreAllMocks());
  expect(outcome).toEqual(stale);
  expect(server.bytes).toBe(0);
});

test('a send that waits for a connection until its claim is stale writes no byte', async () => {
  const { provider, server } = await setScene(
    (socket, _, nth) => setTimeout(() => good(socket, '', nth), 100),
    { sendConnections: 1 },
  );
  const first = provider.send(sendCall, windowOf());
  const second = provider.send(sendCall, { leaveBy: momentIn(50), endBy: performance.now() + 20_000 });
  expect([(await first).kind, await second]).toEqual(['accepted', stale]);
  expect(server.targets).toHaveLength(1);
});

test('a dispatch guard lets one request pass, however often it is dispatched', () => {
  const guard = createDispatchGuard(momentIn(1_000));
  guard.pass();
  expect(() => guard.pass()).toThrow('may not leave');
  expect(guard.left).toBe(true);
});

test('a dispatch guard that was shut lets nothing pass', () => {
  const guard = createDispatchGuard(momentIn(1_000));
  guard.shut();
  expect(() => guard.pass()).toThrow('may not leave');
  expect([guard.left, guard.unsentReason]).toEqual([false, 'not_connected']);
});
