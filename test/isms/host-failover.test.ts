import type { Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { createIsmsProvider } from '../../src/isms/provider.js';
import { momentIn } from '../../src/otp/provider.js';
import { echoed, openAccount, sendCall, verifyCall } from './account.js';
import { always, type Behaviour, refusedPort, reply, startFakeProvider } from './fake-provider.js';
import { setScene } from './scene.js';

const good = always(reply(JSON.stringify({ status: 'Success', ...echoed })));
const accepted = { kind: 'accepted', uuid: echoed.uuid, smsId: echoed.sms_id };

/** Two hosts of one account; the window is that of a send whose claim was just made. */
async function setHosts(
  behave: Behaviour,
  options: Partial<Parameters<typeof createIsmsProvider>[0]> = {},
  next: Behaviour = good,
) {
  const [first, second] = await Promise.all([startFakeProvider(behave), startFakeProvider(next)]);
  const provider = openAccount(`${first.url},${second.url}`, options);
  onTestFinished(async () => {
    await provider.close();
    await Promise.all([first.close(), second.close()]);
  });
  return { first, second, provider };
}

const claimWindow = () => ({ leaveBy: momentIn(1_000), endBy: performance.now() + 20_000 });

/** An account whose first host is at `url`, and whose second accepts. */
async function withNextHost(url: string, options: Partial<Parameters<typeof createIsmsProvider>[0]> = {}) {
  const second = await startFakeProvider(good);
  const provider = openAccount(`${url},${second.url}`, { connectTimeoutMs: 1_500, ...options });
  onTestFinished(async () => {
    await provider.close();
    await second.close();
  });
  return { second, provider };
}

test('a refused connection leads to the next host, for every kind of call', async () => {
  const host = `http://127.0.0.1:${await refusedPort()}/`;
  const { second, provider } = await withNextHost(host);
  expect(await provider.send(sendCall, claimWindow())).toEqual(accepted);
  await provider.verify(verifyCall);
  await provider.balance();
  expect(second.targets.map((target) => /method=\w+/.exec(target)?.[0] ?? 'send')).toEqual([
    'send',
    'method=verify',
    'method=balance',
  ]);
});

test('a name that does not resolve leads to the next host', async () => {
  const { provider } = await withNextHost('https://isms.invalid/');
  expect(await provider.send(sendCall, claimWindow())).toEqual(accepted);
});

test('a certificate that is not trusted leads to the next host, before a byte of the request', async () => {
  const { server } = await setScene(good, {}, true);
  const { provider } = await withNextHost(server.url);
  expect(await provider.send(sendCall, claimWindow())).toEqual(accepted);
  expect(server.targets).toEqual([]);
});

test('a host that takes long to connect leaves time for the next within the claim', async () => {
  const { server } = await setScene(() => undefined);
  const { provider, second } = await withNextHost(server.url.replace('http:', 'https:'));
  expect(await provider.send(sendCall, claimWindow())).toEqual(accepted);
  expect([server.targets.length, second.targets.length]).toEqual([0, 1]);
});

test('no host is tried for a claim that is stale', async () => {
  const { first, second, provider } = await setHosts(good);
  const window = { leaveBy: momentIn(-1), endBy: performance.now() + 20_000 };
  expect(await provider.send(sendCall, window)).toEqual({ kind: 'unsent', reason: 'stale_claim' });
  expect([first.connections, second.connections]).toEqual([0, 0]);
});

test('a claim that becomes stale at the first host is not used at the next', async () => {
  const { server } = await setScene(() => undefined);
  const { provider, second } = await withNextHost(server.url.replace('http:', 'https:'));
  const sending = provider.send(sendCall, { leaveBy: momentIn(50), endBy: performance.now() + 20_000 });
  for (const thawed = performance.now() + 100; performance.now() < thawed; );
  expect(await sending).toEqual({ kind: 'unsent', reason: 'stale_claim' });
  expect(second.connections).toBe(0);
});

const faults: [string, Behaviour, object][] = [
  ['hangs', () => undefined, { kind: 'unknown', reason: 'timeout' }],
  ['resets', (socket) => socket.resetAndDestroy(), { kind: 'unknown', reason: 'connection_lost' }],
  ['answers 503', always(reply('', 503)), { kind: 'unknown', reason: 'server_error' }],
  ['answers 429', always(reply('', 429)), { kind: 'unsent', reason: 'too_many_requests' }],
  ['redirects', always(reply('', 302)), { kind: 'unknown', reason: 'redirect' }],
  ['sends nothing', always(reply('')), { kind: 'unknown', reason: 'reply_empty' }],
];

test.each(faults)(
  'a first host that %s after the request left is the only one called',
  async (_, behave, outcome) => {
    const { first, second, provider } = await setHosts(behave, { sendTimeoutMs: 2_000 });
    expect(await provider.send(sendCall, claimWindow())).toEqual(outcome);
    expect([first.targets.length, second.connections]).toEqual([1, 0]);
  },
);

test('a host that failed is not tried by the calls after it, and is named without its path', async () => {
  const refused = await refusedPort();
  const onHostChange = vi.fn();
  const { provider, second } = await withNextHost(`http://127.0.0.1:${refused}/2FA/request.php`, {
    onHostChange,
  });
  for (let call = 0; call < 3; call += 1) await provider.send(sendCall, claimWindow());
  await provider.verify(verifyCall);
  expect(second.targets).toHaveLength(4);
  expect(onHostChange.mock.calls).toEqual([
    [`http://127.0.0.1:${refused}`, { connected: false, isFirst: true }],
  ]);
});

test('a call that can reach no host is proven unsent', async () => {
  const urls = await Promise.all([1, 2].map(async () => `http://127.0.0.1:${await refusedPort()}/`));
  const provider = openAccount(urls.join(','));
  for (let call = 0; call < 2; call += 1) {
    expect(await provider.send(sendCall, claimWindow())).toEqual({ kind: 'unsent', reason: 'not_connected' });
  }
  await provider.close();
});

test('closing lets a call under way go on to the next host', async () => {
  const sockets: Socket[] = [];
  const { server } = await setScene((socket) => sockets.push(socket));
  const { provider } = await withNextHost(server.url.replace('http:', 'https:'));
  const sending = provider.send(sendCall, claimWindow());
  await Promise.all([provider.close(), expect(sending).resolves.toEqual(accepted)]);
});
